"""The smallest sets of a map that hold stated shares of its attention, as one volume of nested sets."""

from __future__ import annotations

import numpy as np


def nested_sets(values: np.ndarray, brain: np.ndarray, levels: tuple[float, ...]) -> tuple[np.ndarray, list[float]]:
    """Voxels of the brain taken from the most attended down, until each level of the attention in it is reached
    (DINO's and iBOT's pictures keep the top 60 %). Attention outside is left out first: background would fill the sets.

    Ties are taken together, so that a token is never cut: a set holds at least its level.

    Args:
        values: ``(X, Y, Z)`` attention, not negative.
        brain: Bool of the same shape.
        levels: Shares of the attention in the brain, above 0 and below 1.

    Returns:
        A float32 volume, at each voxel the smallest level whose set holds it and 0 where none does (``0 < x <= 0.6`` is
        the set of 0.6); and the share of the brain's voxels that each level's set takes, in the order of ``levels``.
        No level is reached where the brain has no attention: zeros and NaN.
    """
    out = np.zeros(values.shape, np.float32)
    inside = values[brain].astype(np.float64)
    if not inside.sum() > 0:
        return out, [float("nan")] * len(levels)
    down = np.sort(inside)[::-1]
    reached = np.cumsum(down) / down.sum()
    shares: dict[float, float] = {}
    for level in sorted(levels, reverse=True):  # smaller sets are written over the larger ones
        last = down[min(int(np.searchsorted(reached, level - 1e-12)), len(down) - 1)]
        held = brain & (values >= last)
        out[held] = level
        shares[level] = float(held.sum() / brain.sum())
    return out, [shares[level] for level in levels]
