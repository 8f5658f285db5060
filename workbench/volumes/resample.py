"""Moving a volume onto another grid. The affine of the result is the grid's, always."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import scipy

from workbench.volumes.volume import Grid, Volume


def canonical(volume: Volume) -> Volume:
    """Flip and permute axes (no interpolation) so that they run nearest to right, anterior, superior."""
    # nibabel's as_closest_canonical would refuse float16, bool and int64, which no NIfTI can store
    turn = nib.io_orientation(volume.affine)
    back = nib.orientations.inv_ornt_aff(turn, volume.data.shape)
    return Volume(nib.apply_orientation(volume.data, turn), volume.affine @ back)


def resample(volume: Volume, grid: Grid, *, order: int = 1, fill: float = 0.0, antialias: bool = True) -> Volume:
    """Interpolate ``volume`` at the voxel centres of ``grid``.

    Args:
        volume: Source, any orientation.
        grid: Target shape and affine, both in the same world.
        order: 0 nearest (labels), 1 linear, 3 cubic.
        fill: Value outside the source.
        antialias: Blur before shrinking (σ from the ratio of voxel sizes, as in the usual half-maximum rule).
            Never applied to labels (``order=0``).

    Returns:
        A volume on ``grid``; float32 for interpolated data, the source's type for ``order=0``.
    """
    matrix = np.linalg.inv(volume.affine) @ grid.affine  # target voxel -> source voxel
    data = volume.data if order == 0 else volume.data.astype(np.float32, copy=False)
    if order > 0 and antialias:
        # how many source voxels one target step spans along each source axis
        ratio = np.abs(matrix[:3, :3]).max(axis=1)
        sigma = np.where(ratio > 1.01, np.sqrt(np.maximum(ratio**2 - 1, 0)) / 2.355, 0)
        if sigma.any():
            data = scipy.ndimage.gaussian_filter(data, sigma, mode="nearest")
    if (moved := _without_interpolation(data, matrix, grid.shape, fill)) is not None:
        return Volume(moved, grid.affine)
    # "grid-constant", for "constant" drops a whole outer slice where rounding puts its centre 1e-13 outside
    moved = scipy.ndimage.affine_transform(
        data, matrix[:3, :3], matrix[:3, 3], output_shape=grid.shape, order=order, mode="grid-constant", cval=fill
    )
    return Volume(moved, grid.affine)


def _without_interpolation(
    data: np.ndarray, matrix: np.ndarray, shape: tuple[int, int, int], fill: float
) -> np.ndarray | None:
    """The result by flips, permutation and whole-voxel shifts, where ``matrix`` is no more than that: it is exact
    and many times faster. None where voxel centres do not meet to within a hundredth of a voxel."""
    turn, shift = np.rint(matrix[:3, :3]), np.rint(matrix[:3, 3])
    if not (np.abs(turn).sum(axis=0) == 1).all() or not (np.abs(turn).sum(axis=1) == 1).all():
        return None
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in shape], indexing="ij"), -1).reshape(-1, 3)
    if np.abs(corners @ (matrix[:3, :3] - turn).T + matrix[:3, 3] - shift).max() > 0.01:
        return None
    source_axis = np.abs(turn).argmax(axis=0)  # of each target axis
    take, put = [], []
    for axis, source in enumerate(source_axis):
        step, first, size = int(turn[source, axis]), int(shift[source]), data.shape[source]
        index = first + step * np.arange(shape[axis])
        inside = np.flatnonzero((index >= 0) & (index < size))
        if not inside.size:
            return np.full(shape, fill, data.dtype)
        put.append(slice(inside[0], inside[-1] + 1))
        last = index[inside[-1]] + step
        take.append(slice(index[inside[0]], None if last < 0 else last, step))
    out = np.full(shape, fill, data.dtype)
    out[tuple(put)] = data.transpose(source_axis)[tuple(take)]
    return out


def spaced_grid(source: Grid, spacing: float, box: tuple[np.ndarray, np.ndarray] | None = None) -> Grid:
    """An axis-aligned RAS+ isotropic grid that covers ``source``, or ``box`` = two world corners ``(3,)`` in mm.

    Voxel centres lie at whole multiples of ``spacing`` from the source's own first voxel, so that a source that
    already is axis-aligned at this spacing is only flipped and cropped, not interpolated.
    """
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in source.shape], indexing="ij"), -1).reshape(-1, 3)
    world = source.to_world(corners)
    origin = world.min(axis=0)
    low, high = (world.min(axis=0), world.max(axis=0)) if box is None else (np.minimum(*box), np.maximum(*box))
    first = np.floor((low - origin) / spacing + 1e-4)
    last = np.ceil((high - origin) / spacing - 1e-4)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = origin + first * spacing
    x, y, z = (last - first + 1).astype(int)
    return Grid((int(x), int(y), int(z)), affine)
