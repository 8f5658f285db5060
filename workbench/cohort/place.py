"""Labels onto their scan's grid: as they lie, turned, or (if asked) resampled; and several files made one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workbench.cohort.source import Part
from workbench.errors import ScanError
from workbench.volumes import Grid, Volume, canonical, resample

APART = 0.1  # of a voxel: two grids that differ by less are one
LOST = 0.05  # share of the labelled volume that resampling may lose or win
OVERLAP = 0.01  # of the smaller of two files
REMEDY = "--resample_labels puts it on the scan's grid with nearest-neighbour interpolation, if it is of this very scan"


def on_grid(path: Path, labels: Volume, scan: Grid, *, resample: bool = False) -> tuple[Volume, str]:
    """``labels`` voxel on voxel on the scan, in the world and in memory.

    Returns:
        The labels, and how they came there: "" (they lay so), "turned" (axes flipped or permuted: the same voxels in
        another storage order) or "resampled" (nearest neighbour, only if ``resample``).

    Raises:
        ScanError: they lie on another grid, or much of them outside the scan.
    """
    problem = _apart(labels.grid, scan)
    if not problem:
        return Volume(labels.data, scan.affine), ""
    turned = canonical(labels).grid
    if not _apart(turned, _canonical_grid(scan)):
        return Volume(_resampled(labels, scan), scan.affine), "turned"
    if labels.grid.shape == scan.shape and np.allclose(labels.affine, np.eye(4)):
        raise ScanError(
            f"{path}: does not lie on the scan",
            cause="it has the scan's shape and no affine of its own (the identity): its place was lost on the way",
            remedy="write it again with the scan's affine, if it was drawn on this very scan",
        )
    if not resample:
        raise ScanError(f"{path}: is not on the scan's grid", cause=problem, remedy=REMEDY)
    data = _resampled(labels, scan)
    before = float(np.count_nonzero(labels.data)) * _voxel(labels.grid)
    after = float(np.count_nonzero(data)) * _voxel(scan)
    if abs(after - before) > max(LOST * before, 5 * _voxel(scan)):
        raise ScanError(
            f"{path}: does not lie on the scan",
            cause=f"{after / before:.0%} of its labelled volume would be left on the scan's grid ({problem})",
            remedy="is it of another scan, or in another space? its affine may have been lost",
        )
    return Volume(data, scan.affine), "resampled"


def merged(parts: tuple[Part, ...], read: list[Volume]) -> Volume:
    """One segmentation of several files on one grid; each keeps its codes apart from the others' (see ``Part``).

    Raises:
        ScanError: two of them label the same voxels, or what is called left lies right of what is called right.
    """
    _require_sides(parts, read)
    out = np.zeros(read[0].data.shape, np.int32)
    for part, volume in zip(parts, read, strict=True):
        data = np.zeros_like(out)
        if part.codes is None:
            data[volume.data != 0] = part.code
        else:
            for given, code in part.codes:
                data[volume.data == given] = code
        both = np.count_nonzero((out != 0) & (data != 0))
        smaller = min(int(np.count_nonzero(out)), int(np.count_nonzero(data)))
        if both > OVERLAP * max(1, smaller):
            raise ScanError(
                f"{part.path}: overlaps another file of the same segmentation",
                cause=f"{both} voxels are labelled by both",
                remedy="are they two versions of one structure? keep one of them",
            )
        out = np.where(out == 0, data, out)
    return Volume(out, read[0].affine)


def _require_sides(parts: tuple[Part, ...], read: list[Volume]) -> None:
    """What the names say of left and right must be so in the world; a file's header is the only other witness."""
    middle: dict[str, float] = {}
    for part, volume in zip(parts, read, strict=True):
        if part.side and volume.data.any():
            middle[part.side] = float(volume.grid.to_world(np.argwhere(volume.data != 0).mean(0)[None])[0, 0])
    if len(middle) == 2 and middle["left"] > middle["right"]:
        left = next(part for part in parts if part.side == "left")
        raise ScanError(
            f"{left.path}: is named left and lies right of the file that is named right",
            cause=f"by their headers their middles are at x = {middle['left']:.0f} and {middle['right']:.0f} mm",
            remedy="find out which is wrong, the names or the headers; a mirrored label would be learnt",
        )


def _apart(grid: Grid, scan: Grid) -> str:
    """What tells two grids apart; "" where they are one."""
    if grid.axcodes != scan.axcodes:
        return f"its axes are stored {grid.axcodes}, the scan's {scan.axcodes}, and turning them does not make it fit"
    if grid.shape != scan.shape:
        return f"its shape is {grid.shape}, the scan's {scan.shape}"
    corners = scan.corners()
    apart = float(np.linalg.norm(grid.to_world(corners) - scan.to_world(corners), axis=1).max())
    if apart > APART * min(scan.spacing):
        return f"their affines put the same voxel up to {apart:.1f} mm apart"
    return ""


def _canonical_grid(grid: Grid) -> Grid:
    # a view on one element: only shape and affine are looked at
    return canonical(Volume(np.broadcast_to(np.uint8(0), grid.shape), grid.affine)).grid


def _resampled(labels: Volume, scan: Grid) -> np.ndarray:
    return resample(labels, scan, order=0).data


def _voxel(grid: Grid) -> float:
    """Volume of a voxel in mm³."""
    return abs(float(np.linalg.det(grid.affine[:3, :3])))
