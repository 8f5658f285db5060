"""Read one scan, with its segmentation and mask, to the last voxel, and say what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from workbench.errors import ScanError
from workbench.runs import digest_file
from workbench.volumes import Grid, read_volume


@dataclass
class Checked:
    """What reading showed. ``grid`` is None where the scan itself cannot be used.

    ``problems`` holds (kind, file, cause, remedy) with kind "scan", "segmentation" or "mask"; a segmentation or a
    mask with a problem has no fingerprint.
    """

    grid: Grid | None = None
    fingerprint: str = ""
    seg_fingerprint: str | None = None
    mask_fingerprint: str | None = None
    problems: list[tuple[str, str, str, str]] = field(default_factory=list)


def check(files: tuple[Path, Path | None, Path | None]) -> Checked:
    """Check (scan, segmentation, mask). Raises for want of memory alone: one bad file must not end a cohort."""
    path, seg_path, mask_path = files
    checked = Checked()
    try:
        checked.grid = read_volume(path).grid
        checked.fingerprint = digest_file(path)
    except MemoryError:  # perhaps the fault of the scans beside it: it is tried again alone
        raise
    except Exception as error:
        checked.grid = None
        _add(checked, "scan", path, error)
        return checked
    for kind, other in (("segmentation", seg_path), ("mask", mask_path)):
        if other is None:
            continue
        try:
            labels = read_volume(other, labels=True)
            _require_same_grid(other, labels.grid, checked.grid)
            if not labels.data.any():
                raise ScanError(
                    f"{other}: the {kind} is empty", cause="every voxel is 0", remedy="make it again, or remove it"
                )
            found = digest_file(other)
        except MemoryError:
            raise
        except Exception as error:
            _add(checked, kind, other, error)
            continue
        if kind == "segmentation":
            checked.seg_fingerprint = found
        else:
            checked.mask_fingerprint = found
    return checked


def _require_same_grid(path: Path, grid: Grid, scan: Grid) -> None:
    """A segmentation must lie voxel on voxel on its scan, in the world and in memory."""
    remedy = "put it on the scan's grid with nearest-neighbour interpolation"
    if grid.axcodes != scan.axcodes:
        raise ScanError(
            f"{path}: is not on the scan's grid",
            remedy=remedy,
            cause=f"its axes are stored {grid.axcodes}, the scan's {scan.axcodes}",
        )
    if grid.shape != scan.shape:
        raise ScanError(
            f"{path}: is not on the scan's grid",
            remedy=remedy,
            cause=f"its shape is {grid.shape}, the scan's {scan.shape}",
        )
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in scan.shape], indexing="ij"), -1).reshape(-1, 3)
    apart = float(np.linalg.norm(grid.to_world(corners) - scan.to_world(corners), axis=1).max())
    if apart > 0.1 * min(scan.spacing):
        raise ScanError(
            f"{path}: is not on the scan's grid",
            remedy=remedy,
            cause=f"their affines put the same voxel up to {apart:.1f} mm apart",
        )


def _add(checked: Checked, kind: str, path: Path, error: Exception) -> None:
    if isinstance(error, ScanError):
        what = error.what.removeprefix(f"{path}: ")
        checked.problems.append((kind, str(path), f"{what}: {error.cause}" if error.cause else what, error.remedy))
    else:
        cause = f"{type(error).__name__}: {error}"
        checked.problems.append((kind, str(path), cause[:300], "check the file and its permissions"))
