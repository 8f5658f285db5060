"""The same place in two brains, without a registration: as a share of the box around each brain.

Talairach and Tournoux's proportional grid (1988) in its plainest form: the store holds each scan upright and cut to its
brain, so that a place is three numbers between 0 and 1. Brains differ by more than their boxes: it is good for leading
the eye, and for nothing that is measured.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def brain_box(row: dict[str, Any]) -> np.ndarray | None:
    """Matrix ``(4, 4)`` from shares of the brain's box (0 to 1, along the prepared axes) to the scan's world mm.

    Args:
        row: Of the cohort: ``affine`` (16 numbers, of the prepared scan) and ``px, py, pz``, its voxels.

    Returns:
        None where the table does not tell, or tells something no box can have.
    """
    affine, shape = row.get("affine"), [row.get(name) for name in ("px", "py", "pz")]
    if affine is None or any(n is None for n in shape):
        return None
    try:
        matrix, extent = np.asarray(affine, float).reshape(4, 4), np.array(shape, float)
    except (TypeError, ValueError):
        return None
    if (
        not (np.isfinite(matrix).all() and np.isfinite(extent).all() and (extent > 0).all())
        or abs(np.linalg.det(matrix[:3, :3])) < 1e-9
    ):
        return None
    shares = np.diag([*extent, 1.0])
    shares[:3, 3] = -0.5  # voxels are counted from 0 at their centres, and the box ends at their edges
    return matrix @ shares
