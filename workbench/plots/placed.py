"""One scan more in a picture of many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    import holoviews as hv


def with_star(points: hv.Element, x: float, y: float, label: str) -> hv.Overlay:
    """A scatter (``embedding_scatter``) with a star at ``(x, y)``: a scan that is not among its points."""
    import holoviews as hv
    import holoviews.plotting.bokeh  # registers the backend that the options below are for

    a, b = (d.name for d in points.kdims[:2])
    star = hv.Points(pd.DataFrame({a: [x], b: [y], "scan": [label]}), [a, b], ["scan"])
    return points * star.opts(
        marker="star", size=24, color="#000000", line_color="#ffffff", line_width=1.5, tools=["hover"], backend="bokeh"
    )
