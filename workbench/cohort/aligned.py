"""Whether two contrasts of a session show the same head in the same place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy
from scipy.spatial.transform import Rotation

from workbench.errors import ScanError
from workbench.volumes import Volume

STEP_MM, EDGE = 4.0, 40  # between the points at which the two are compared; at least so many along a small head
MOVE_MM, TURN_DEG = 8.0, 8.0  # what is tried: a smaller shift than half of it is not seen
BETTER, SLACK = 0.05, 0.005  # of the normalised mutual information, less the 1 that strangers have; twins have 2
BINS = (8, 24)
FOREGROUND = 0.25  # of the range between the darkest and the 99th percentile
REACH = 0.5  # of the foreground must lie in the other's field of view
SIDES = ((0, -1, "left"), (0, 1, "right"), (1, 1, "forward"), (1, -1, "back"), (2, 1, "up"), (2, -1, "down"))
AXES = ("the left-right axis", "the front-back axis", "the vertical axis")
# in words -> axis, mm along it, degrees about it
MOVES = {f"{side} by {MOVE_MM:g} mm": (axis, sign * MOVE_MM, 0.0) for axis, sign, side in SIDES} | {
    f"by {sign * TURN_DEG:g}° about {name}": (axis, 0.0, sign * TURN_DEG)
    for axis, name in enumerate(AXES)
    for sign in (-1, 1)
}


def require_aligned(path: Path, contrast: str, scan: Volume, other: Volume) -> None:
    """Refuse a contrast whose head lies elsewhere than that of ``scan`` in the world.

    Their mutual information (after Studholme et al., Pattern Recognition 1999) as they lie must not be clearly less (by
    a twentieth) than after a move of 8 mm or 8 degrees along or about any axis: whatever the contrasts are, two images
    of one head tell most of each other where they lie on each other.

    Args:
        path: Of ``other``, for the message.
        contrast: What it is.
        scan: The first contrast.
        other: The further one, on a grid of its own.

    Raises:
        ScanError: it does not overlap with the scan, or fits clearly better elsewhere.
    """
    points, values = _points(scan)
    inside, _ = _at(other, points)
    seen = values > FOREGROUND
    if inside[seen].mean() < REACH:
        raise ScanError(
            f"{path}: does not lie on the scan",
            cause=f"{inside[seen].mean():.0%} of the head of the first contrast lie in the field of view of this one",
            remedy="is it of another space? register it to the first contrast, or take it away",
        )
    as_it_is = _shared(values, *_at(other, points))
    centre = points[seen].mean(axis=0)
    found = {name: _shared(values, *_at(other, _moved(points, centre, *move))) for name, move in MOVES.items()}
    best = max(found, key=lambda name: found[name])
    if found[best] - 1 > (as_it_is - 1) * (1 + BETTER) + SLACK:
        raise ScanError(
            f"{path}: does not show the head where the first contrast has it",
            cause=f"moved {best} it fits better (normalised mutual information {found[best]:.3f}, now {as_it_is:.3f})",
            remedy=f"register this {contrast} to the first contrast rigidly, or take it away",
        )


def _points(scan: Volume) -> tuple[np.ndarray, np.ndarray]:
    """World coordinates ``(N, 3)`` about `STEP_MM` apart in the head's box, and the scan there, 0 to 1 ``(N,)``."""
    longest = max(n * edge for n, edge in zip(scan.data.shape, scan.spacing, strict=True))
    step = [max(1, round(min(STEP_MM, longest / EDGE) / edge)) for edge in scan.spacing]
    thin = scan.data[:: step[0], :: step[1], :: step[2]].astype(np.float32)
    low, high = float(thin.min()), float(np.percentile(thin, 99))
    level = np.clip((thin - low) / max(high - low, 1e-6), 0, 1)
    there = np.argwhere(level > FOREGROUND)
    box = tuple(
        slice(max(0, int(a) - 3), int(b) + 4) for a, b in zip(there.min(axis=0), there.max(axis=0), strict=True)
    )
    index = np.stack(np.meshgrid(*(np.arange(n)[s] for n, s in zip(level.shape, box, strict=True)), indexing="ij"), -1)
    return scan.grid.to_world(index.reshape(-1, 3) * step), level[box].ravel()


def _at(volume: Volume, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which points lie in the field of view, and the values there (linear)."""
    voxels = volume.grid.to_voxel(points)
    inside = np.asarray(((voxels >= -0.5) & (voxels <= np.array(volume.data.shape) - 0.5)).all(axis=1))
    return inside, scipy.ndimage.map_coordinates(volume.data, voxels.T, order=1, mode="nearest", output=np.float32)


def _moved(points: np.ndarray, centre: np.ndarray, axis: int, mm: float, degrees: float) -> np.ndarray:
    """Where the other is read so that its content is moved by ``mm`` along, and turned about, the axis."""
    unit = np.eye(3)[axis]
    turn = Rotation.from_rotvec(np.radians(degrees) * unit).as_matrix()
    moved: np.ndarray = (points - centre - mm * unit) @ turn + centre
    return moved


def _shared(first: np.ndarray, inside: np.ndarray, second: np.ndarray) -> float:
    """Normalised mutual information of the points in both fields of view."""
    a, b = first[inside], second[inside]
    low, high = np.percentile(b, [1, 99])
    b = np.clip((b - low) / max(float(high - low), 1e-6), 0, 1)
    bins = int(np.clip(np.sqrt(len(a)) / 6, *BINS))
    rows, columns = (np.minimum((values * bins).astype(int), bins - 1) for values in (a, b))
    together = np.bincount(rows * bins + columns, minlength=bins * bins).reshape(bins, bins)
    whole = together / max(1, together.sum())
    both = _entropy(whole)
    return (_entropy(whole.sum(axis=0)) + _entropy(whole.sum(axis=1))) / both if both > 0 else 1.0


def _entropy(shares: np.ndarray) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log(positive)).sum())
