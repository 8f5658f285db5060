"""What a prepared scan depends on, as hashes: the settings that change voxels, and the contents of the source files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from workbench.cohort.contrasts import USUAL
from workbench.errors import ScanError
from workbench.prepare.config import PrepareConfig
from workbench.runs import digest_file

RECIPE = 1  # raise it whenever the same settings and files would give other voxels than before


def scan_settings(config: PrepareConfig) -> dict[str, Any]:
    """All that a scan's preparation depends on; an exported model carries it, to prepare one that no store holds."""
    return {**voxel_settings(config), "margin": config.margin}


def voxel_settings(config: PrepareConfig) -> dict[str, Any]:
    """The settings that change the values a model sees.

    The margin is left out: it moves the border of the box and no voxel in the brain. So are the cohort and the
    workers.
    """
    return {
        "spacing": config.spacing,
        "interpolation": config.interpolation,
        "mask": config.mask,
        "n4": config.n4,
        "clip_percentile": config.clip_percentile,
        **({"contrasts": list(config.contrasts)} if config.contrasts not in ((), USUAL) else {}),
    }


def contrasts_in(settings: dict[str, Any] | None) -> tuple[str, ...]:
    """The channels that ``scan_settings`` tell of; T1w where they say nothing."""
    return tuple((settings or {}).get("contrasts") or USUAL)


def preparation_fingerprint(config: PrepareConfig) -> str:
    """Hash of ``voxel_settings``: what an encoder is bound to."""
    return _digest({"recipe": RECIPE, **voxel_settings(config)})


def settings_key(config: PrepareConfig) -> str:
    """Hash of every setting that changes a file of the store."""
    return _digest({"preparation": preparation_fingerprint(config), "margin": config.margin})


def scan_key(config: PrepareConfig, sources: dict[str, str]) -> str:
    """Hash of the settings and of the source files' contents; a prepared scan is up to date iff its key is this."""
    return _digest({"settings": settings_key(config), "sources": sources})


def file_digest(path: str | Path) -> str:
    """BLAKE2b of a source file's bytes.

    Raises:
        ScanError: the file is missing or cannot be read.
    """
    try:
        return digest_file(Path(path))
    except OSError as error:
        raise ScanError(
            f"{path}: cannot be read",
            cause=error.strerror or str(error),
            remedy="check the path and its permissions, then make the cohort again",
        ) from error


def _digest(values: dict[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=8).hexdigest()
