"""Which points a tap, a box or a lasso means, told from its outline: for plots whose points the browser has not got."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.path import Path

NEAR = 8.0  # pixels from a tap to the point that it means
MOST_CORNERS = 2000  # of a lasso; a slow hand leaves several in one pixel, and a hostile page any number


def rows_inside(x: np.ndarray, y: np.ndarray, geometry: dict[str, Any], pixel: tuple[float, float]) -> np.ndarray:
    """Positions of the points that an outline holds, ascending.

    Args:
        x: Of the points, in the plot's coordinates.
        y: Of the points.
        geometry: As Bokeh's ``SelectionGeometry`` tells it: ``type`` is ``"point"`` (``x``, ``y``), ``"rect"`` (``x0``,
            ``x1``, ``y0``, ``y1``) or ``"poly"`` (lists ``x``, ``y``, closed by its first corner).
        pixel: What one pixel is on each axis. A tap means the nearest point within eight of them, or none.

    Returns:
        Of dtype int64; empty for an outline that is of no known type, has no inside, or is not made of numbers.
    """
    try:
        return _inside(x, y, geometry, pixel)
    except (KeyError, TypeError, ValueError):  # it comes from a browser
        return np.empty(0, np.int64)


def _inside(x: np.ndarray, y: np.ndarray, geometry: dict[str, Any], pixel: tuple[float, float]) -> np.ndarray:
    kind = geometry.get("type")
    if kind == "point":
        away = np.hypot((x - geometry["x"]) / pixel[0], (y - geometry["y"]) / pixel[1])
        nearest = int(np.nanargmin(away)) if np.isfinite(away).any() else -1
        return np.array([nearest] if nearest >= 0 and away[nearest] <= NEAR else [], np.int64)
    if kind == "rect":
        (x0, x1), (y0, y1) = (sorted((geometry[f"{a}0"], geometry[f"{a}1"])) for a in "xy")
        return np.flatnonzero((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1))
    if kind == "poly" and len(geometry["x"]) > 2:
        corners = np.column_stack([geometry["x"], geometry["y"]]).astype(float)
        corners = corners[:: -(-len(corners) // MOST_CORNERS)]
        (x0, y0), (x1, y1) = corners.min(0), corners.max(0)
        near = np.flatnonzero((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1))  # of a million the costly test takes most
        return near[Path(corners).contains_points(np.column_stack([x[near], y[near]]))]
    return np.empty(0, np.int64)
