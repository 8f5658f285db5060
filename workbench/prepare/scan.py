"""One scan of the cohort, from its files to the store's files: what a worker process does.

The order of writing is what makes a kill -9 harmless: remove the old sidecar, rename the new arrays into place, and the
new sidecar last. A scan is done iff its sidecar has the right key and the files have the sizes the sidecar says.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import ScanError, WorkbenchError
from workbench.prepare.config import PrepareConfig
from workbench.prepare.conform import Conformed, conform
from workbench.prepare.deepbet import VERSION, is_installed
from workbench.prepare.fingerprint import file_digest, preparation_fingerprint, scan_key, settings_key
from workbench.runs import replacing
from workbench.volumes import Grid, read_volume
from workbench.volumes.thumbnail import encode, thumbnail

CHANNEL = "channel "


@dataclass(frozen=True)
class ScanFiles:
    """The files of one scan of the cohort."""

    scan_id: str
    path: str
    seg_path: str | None = None
    mask_path: str | None = None
    channels: tuple[tuple[str, str | None], ...] = ()
    """Further contrasts and their files; None where this person has none."""
    fingerprints: dict[str, str] = field(default_factory=dict)
    """Of image, seg, mask and each further contrast (``channel FLAIR``), as the cohort found them; what it does not say
    is not compared."""

    def file(self, kind: str) -> str:
        """Of one of the fingerprints."""
        own = {"image": self.path, "seg": self.seg_path, "mask": self.mask_path}
        return str(own[kind] if kind in own else dict(self.channels)[kind.removeprefix(CHANNEL)])


@dataclass(frozen=True)
class Outcome:
    """What became of one scan: its sidecar, or why it was set aside."""

    scan_id: str
    sidecar: dict[str, Any] = field(default_factory=dict)
    kept: bool = False
    """It was there already and is up to date."""
    cause: str = ""
    remedy: str = ""


def scan_file(folder: Path, scan_id: str) -> Path:
    return folder / f"{scan_id}.npy"


def seg_file(folder: Path, scan_id: str) -> Path:
    return folder / f"{scan_id}.seg.npy"


def sidecar_file(folder: Path, scan_id: str) -> Path:
    return folder / f"{scan_id}.json"


def safe_id(scan_id: str) -> bool:
    """Whether ``scan_id`` is a file name of its own: no path, not hidden, not another scan's segmentation."""
    return bool(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", scan_id)) and not scan_id.endswith(".seg")


def prepare_scan(source: ScanFiles, config: PrepareConfig, folder: Path) -> Outcome:
    """Prepare one scan into ``folder`` unless it is there and up to date.

    A scan that cannot be used comes back with its cause; it never stops the others.

    Raises:
        WorkbenchError: not the scan's fault, and the next one would fail too: no room on the disk.
        MemoryError: there is too little memory for it, at least beside the scans of other workers.
    """
    try:
        if not source.path:
            raise ScanError(
                f"has no {config.contrasts[0]}",
                cause="it gives the grid and the mask of the others",
                remedy="name a contrast first that everybody has",
            )
        digests = _digests(source, config)
        _require_unchanged(source, digests)
        sidecar = read_sidecar(folder, source.scan_id)
        if sidecar and _up_to_date(sidecar, config, digests) and files_complete(folder, sidecar):
            return Outcome(source.scan_id, sidecar, kept=True)
        scan = read_volume(source.path)
        done = conform(
            scan,
            config,
            seg=read_volume(source.seg_path, labels=True) if source.seg_path else None,
            mask=read_volume(source.mask_path) if "mask" in digests and source.mask_path else None,
            further=[None if path is None else read_volume(path) for _, path in source.channels],
        )
    except ScanError as error:
        return Outcome(source.scan_id, cause=_cause(error), remedy=error.remedy)
    except MemoryError:  # perhaps the fault of the scans beside it: it is tried again alone
        raise
    except Exception as error:  # a defect of ours, or a file stranger than we thought: never lose the night's run
        return Outcome(
            source.scan_id,
            cause=f"unexpected {type(error).__name__}: {str(error)[:200]}",
            remedy="please report it: a scan should never end like this",
        )
    sidecar = {
        "key": _key(config, digests, str(done.facts["mask"])),
        "settings": settings_key(config),
        "preparation": preparation_fingerprint(config),
        "scan_id": source.scan_id,
        "sources": digests,
        "thumbnail": encode(thumbnail(done.scan.data)),
        **_geometry(done, scan.grid),
        **({"missing": [name for name, path in source.channels if path is None]} if source.channels else {}),
        **done.facts,
    }
    try:
        return Outcome(source.scan_id, _write(folder, source.scan_id, done, sidecar))
    except OSError as error:
        raise WorkbenchError(
            f"{folder}: cannot be written",
            cause=error.strerror or str(error),
            remedy="make room, or choose another disk; run it again, what is done is kept",
        ) from error


def _key(config: PrepareConfig, digests: dict[str, str], mask: str) -> str:
    """Where `auto` took what depends on what is installed, the key says so."""
    chosen = config.mask == "auto" and mask in ("deepbet", "no_brain")
    return scan_key(config, digests | ({"mask by": VERSION} if chosen else {}))


def _up_to_date(sidecar: dict[str, Any], config: PrepareConfig, digests: dict[str, str]) -> bool:
    """A whole head that was taken as it is, for want of deepbet, is made again where that was installed since."""
    mask = str(sidecar.get("mask", ""))
    better = config.mask == "auto" and mask == "head" and is_installed()
    return bool(sidecar["key"] == _key(config, digests, mask)) and not better


def read_sidecar(folder: Path, scan_id: str) -> dict[str, Any] | None:
    """The sidecar, or None if there is none that can be read."""
    try:
        sidecar = json.loads(sidecar_file(folder, scan_id).read_text())
    except (OSError, ValueError):
        return None
    return sidecar if isinstance(sidecar, dict) and {"key", "settings", "files"} <= sidecar.keys() else None


def files_complete(folder: Path, sidecar: dict[str, Any]) -> bool:
    """Whether every file the sidecar names is there with its size."""
    try:
        return all((folder / name).stat().st_size == size for name, size in sidecar["files"].items())
    except OSError:
        return False


def _digests(source: ScanFiles, config: PrepareConfig) -> dict[str, str]:
    digests = {"image": file_digest(source.path)}
    if source.seg_path:
        digests["seg"] = file_digest(source.seg_path)
    if source.mask_path and config.mask in ("auto", "given"):
        digests["mask"] = file_digest(source.mask_path)
    return digests | {f"{CHANNEL}{name}": file_digest(path) for name, path in source.channels if path}


def _require_unchanged(source: ScanFiles, digests: dict[str, str]) -> None:
    """A file of other content than the cohort's may be another person's: its fingerprint, by which a scan that was
    learnt from is known again, would be another image's."""
    for kind, digest in digests.items():
        if source.fingerprints.get(kind, digest) != digest:
            read_volume(source.file(kind), labels=kind == "seg")  # one that was damaged since has a better cause
            raise ScanError(
                f"{source.file(kind)}: changed since the cohort was made",
                cause="its content is not the one that `workbench cohort` checked and knows it by",
                remedy="run `workbench cohort` again with --overwrite (and what follows it), or bring the file back",
            )


def _geometry(done: Conformed, source: Grid) -> dict[str, Any]:
    return {
        "shape": list(done.scan.grid.shape),
        "affine": done.scan.affine.tolist(),
        "dtype": "float16",
        "source_shape": list(source.shape),
        "source_affine": source.affine.tolist(),
        "source_axcodes": source.axcodes,
        "has_seg": done.seg is not None,
    }


def _write(folder: Path, scan_id: str, done: Conformed, sidecar: dict[str, Any]) -> dict[str, Any]:
    sidecar_file(folder, scan_id).unlink(missing_ok=True)
    files = {scan_file(folder, scan_id): done.voxels}
    if done.seg is not None:
        files[seg_file(folder, scan_id)] = done.seg.data
    else:
        seg_file(folder, scan_id).unlink(missing_ok=True)
    for path, array in files.items():
        with replacing(path) as partial, open(partial, "wb") as file:
            np.save(file, np.ascontiguousarray(array), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave a renamed file of zeros with the right size
    sidecar = {**sidecar, "files": {path.name: path.stat().st_size for path in files}}
    with replacing(sidecar_file(folder, scan_id)) as partial:
        partial.write_text(json.dumps(sidecar, indent=1) + "\n")
    return sidecar


def _cause(error: ScanError) -> str:
    return f"{error.what}: {error.cause}" if error.cause else error.what
