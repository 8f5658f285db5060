"""From the prepared grid back to the scan's own space."""

from __future__ import annotations

import numpy as np

from workbench.volumes import Grid, Volume
from workbench.volumes.regrid import regrid


def to_source_space(array: np.ndarray, grid: Grid, source_grid: Grid, *, order: int, fill: float = 0.0) -> Volume:
    """Bring a map made on the prepared grid onto the grid of the scan it came from.

    Args:
        array: ``(X, Y, Z)`` on ``grid`` (``Store.grid``): an attention map, a probability, a label map.
        grid: The prepared grid.
        source_grid: The scan's own grid (``Store.source_grid``), any orientation.
        order: 0 nearest (attention, so that tokens look like tokens), 1 linear, 3 cubic. For a segmentation take
            the probabilities with 1 and the argmax afterwards: where a source voxel lies midway between two prepared
            ones (1 mm scans prepared at 2 mm), the nearest of a label map is always the same side of it.
        fill: Value outside the prepared box.

    Returns:
        A volume on ``source_grid``.
    """
    if array.shape != grid.shape:
        raise ValueError(f"the map is {array.shape}, its grid {grid.shape}")
    if array.dtype in (np.float16, np.bool_):  # types that scipy does not interpolate
        array = array.astype(np.float32 if array.dtype == np.float16 else np.uint8)
    return regrid(Volume(array, grid.affine), source_grid, order=order, fill=fill)
