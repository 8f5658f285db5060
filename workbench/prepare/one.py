"""One scan that no store holds, prepared as a store would, and read in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, get_args

import numpy as np

from workbench.errors import ConfigError, ScanError
from workbench.prepare.config import MaskChoice, PrepareConfig
from workbench.prepare.conform import conform
from workbench.prepare.fingerprint import preparation_fingerprint, scan_settings
from workbench.prepare.store import Corner, crop
from workbench.volumes import Grid, Volume
from workbench.volumes.volume import Triple


class Scans(Protocol):
    """Prepared scans by name: a ``Store``, or one scan (``PreparedScan``)."""

    def shape(self, scan: str) -> Triple: ...
    def grid(self, scan: str) -> Grid: ...
    def source_grid(self, scan: str) -> Grid: ...
    def has_seg(self, scan: str) -> bool: ...
    def codes(self, scan: str, structure: str) -> list[int]: ...
    def read(
        self, scan: str, low: Corner | None = None, high: Corner | None = None, *, channel: int = 0
    ) -> np.ndarray: ...
    def read_channels(self, scan: str, low: Corner | None = None, high: Corner | None = None) -> np.ndarray: ...
    def read_seg(self, scan: str, low: Corner | None = None, high: Corner | None = None) -> np.ndarray: ...
    def read_brain(self, scan: str, low: Corner | None = None, high: Corner | None = None) -> np.ndarray: ...


@dataclass(frozen=True)
class PreparedScan:
    """A scan on the grid and the scale that a model takes. It reads like a store of one scan, whatever name is asked
    for; labels it has none."""

    name: str
    scan: Volume
    """float16, RAS+, isotropic; z-scores in the brain, 0 outside it and nowhere else."""
    source: Grid
    """The grid of the scan as it was given."""
    fingerprint: str
    """Of the settings it was prepared with."""
    facts: dict[str, Any]
    """mask_said (what was taken for the brain), brain_ml and others; see ``Conformed``."""
    further: tuple[np.ndarray, ...] = ()
    """Of several contrasts those after ``scan``."""

    @property
    def mask(self) -> str:
        """What was taken for the brain, in words."""
        return str(self.facts["mask_said"])

    def shape(self, scan: str = "") -> Triple:
        return self.scan.grid.shape

    def grid(self, scan: str = "") -> Grid:
        return self.scan.grid

    def source_grid(self, scan: str = "") -> Grid:
        return self.source

    def has_seg(self, scan: str = "") -> bool:
        return False

    def codes(self, scan: str, structure: str) -> list[int]:
        return []

    def read(
        self, scan: str = "", low: Corner | None = None, high: Corner | None = None, *, channel: int = 0
    ) -> np.ndarray:
        """z-scores of the crop ``[low, high)``, or of the whole scan, in one contrast; what is outside is 0."""
        return crop((self.scan.data, *self.further)[channel], low, high)

    def read_channels(self, scan: str = "", low: Corner | None = None, high: Corner | None = None) -> np.ndarray:
        """`read` of every contrast, ``(C, *(high - low))``."""
        return np.stack([crop(data, low, high) for data in (self.scan.data, *self.further)])

    def read_seg(self, scan: str = "", low: Corner | None = None, high: Corner | None = None) -> np.ndarray:
        raise ScanError(
            f"{self.name}: has no labels",
            cause="it was given as a scan alone",
            remedy="ask for a place: voxel:X,Y,Z in world mm",
        )

    def read_brain(self, scan: str = "", low: Corner | None = None, high: Corner | None = None) -> np.ndarray:
        return self.read(scan, low, high) != 0


def prepare_one(
    scan: Volume,
    settings: dict[str, Any],
    fingerprint: str,
    *,
    name: str,
    mask: Volume | None = None,
    further: Sequence[Volume | None] = (),
) -> PreparedScan:
    """Prepare one scan as ``run_prepare`` would.

    Args:
        scan: In its own space, any orientation.
        settings: See ``scan_settings``.
        fingerprint: Of what it is prepared for.
        name: For messages.
        mask: Brain mask on a grid of its own; needed where the settings say ``mask: given``.
        further: The contrasts after the first, where the settings name several.

    Raises:
        ScanError: nothing sensible can be made of the scan.
    """
    config = PrepareConfig.build({"out": ".", "cohort": ".", **settings})
    done = conform(scan, config, mask=mask, further=further)
    return PreparedScan(name, done.scan, scan.grid, fingerprint, done.facts, done.further)


def settings_of(fingerprint: str, spacing: float) -> dict[str, Any]:
    """The settings behind a fingerprint, for what was exported before it carried them: of all choices at this spacing
    and the usual clipping, the one whose hash it is.

    Raises:
        ConfigError: none has it.
    """
    usual = PrepareConfig.build({"out": ".", "cohort": ".", "spacing": spacing})
    for interpolation in ("linear", "cubic"):
        for mask in get_args(MaskChoice):
            for n4 in (False, True):
                config = usual.model_copy(update={"interpolation": interpolation, "mask": mask, "n4": n4})
                if preparation_fingerprint(config) == fingerprint:
                    return scan_settings(config)
    raise ConfigError(
        f"preparation {fingerprint}: its settings are not known",
        cause="the model was exported without them, with an unusual clip_percentile or by another version",
        remedy="give them: prepare=, the folder of the store that it was trained on",
    )
