"""From one grid to another: exactly where the grids coincide, by interpolation where they do not."""

from __future__ import annotations

import itertools

import numpy as np

from workbench.volumes import Grid, Volume, resample

MAX_OFFSET = 0.01  # voxels by which two grids may differ anywhere and still count as the same


def regrid(volume: Volume, grid: Grid, *, order: int, fill: float = 0.0) -> Volume:
    """``volume`` on ``grid``: flips, permutes and crops where that is enough, else interpolates once.

    Args:
        volume: Source, any orientation.
        grid: Target; may reach beyond the source.
        order: 0 nearest (labels), 1 linear, 3 cubic. Shrinking with ``order > 0`` blurs first.
        fill: Value outside the source.

    Returns:
        A volume on ``grid``. The source's type where nothing was interpolated or ``order`` is 0, else float32.
    """
    exact = _take(volume, grid, fill)
    if exact is not None:
        return exact
    return resample(_around(volume, grid), grid, order=order, fill=fill)


def _take(volume: Volume, grid: Grid, fill: float) -> Volume | None:
    """Copy voxels without interpolation, or None if the grids do not coincide."""
    matrix = np.linalg.inv(grid.affine) @ volume.affine  # source voxel -> target voxel
    turn, shift = np.rint(matrix[:3, :3]), np.rint(matrix[:3, 3])
    if (np.abs(turn).sum(axis=0) != 1).any() or (np.abs(turn).sum(axis=1) != 1).any():
        return None
    corners = _corners(volume.data.shape)
    if np.abs(corners @ (matrix[:3, :3] - turn).T + matrix[:3, 3] - shift).max() > MAX_OFFSET:
        return None
    axes = np.abs(turn).argmax(axis=1)  # source axis behind each target axis
    data = volume.data.transpose(axes)
    flips = tuple(slice(None, None, -1) if turn[t, axes[t]] < 0 else slice(None) for t in range(3))
    data = data[flips]
    # where the first voxel of the turned source lies on the target grid
    first = (corners @ turn.T + shift).min(axis=0).astype(int)
    low, high = np.maximum(first, 0), np.minimum(first + data.shape, grid.shape)
    out = np.full(grid.shape, fill, dtype=data.dtype)
    if (low < high).all():
        inside = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        taken = tuple(slice(a, b) for a, b in zip(low - first, high - first, strict=True))
        out[inside] = data[taken]
    return Volume(out, grid.affine)


def _around(volume: Volume, grid: Grid) -> Volume:
    """The part of the source that ``grid`` can see: blurring and filtering the rest would be wasted."""
    matrix = np.linalg.inv(volume.affine) @ grid.affine
    seen = _corners(grid.shape) @ matrix[:3, :3].T + matrix[:3, 3]
    # reach of the anti-aliasing blur (4 σ, σ < 0.43 of the ratio) and of the cubic prefilter (0.27 ** 12 ~ 1e-7)
    reach = 12 + np.ceil(2 * np.abs(matrix[:3, :3]).max(axis=1))
    low = np.clip(np.floor(seen.min(axis=0) - reach), 0, volume.data.shape).astype(int)
    high = np.clip(np.ceil(seen.max(axis=0) + reach) + 1, 0, volume.data.shape).astype(int)
    if (low >= high).any():  # no overlap at all: one voxel is enough to say so
        low, high = np.zeros(3, int), np.ones(3, int)
    affine = volume.affine.copy()
    affine[:3, 3] = volume.grid.to_world(low)
    (x, y, z), (u, v, w) = low, high
    return Volume(volume.data[x:u, y:v, z:w], affine)


def _corners(shape: tuple[int, ...]) -> np.ndarray:
    return np.array(list(itertools.product(*[(0, n - 1) for n in shape])), dtype=float)
