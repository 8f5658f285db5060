"""The scatter of very many scans: an image from the server, and outlines back to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd

from workbench import plots
from workbench.explorer.cohort.lasso import rows_inside
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored.shared import once_a_table


def cloud_plot(
    state: ExplorerState, x: str, y: str, chosen: hv.streams.Counter, tell: Callable[[np.ndarray], None]
) -> hv.DynamicMap:
    """The cohort's cloud, drawn anew for what is zoomed to, and for the selection when ``chosen`` counts on; ``tell``
    is given the rows that an outline holds.

    A browser without a GPU paints 100,000 points in more than a second, each time the plot is touched; an image it
    paints at once, and of a lasso only the outline is sent. Needs a Bokeh server that answers.
    """
    clouds, asked = _clouds(state.cohort), (x, y, str(state.color))
    if asked not in clouds:
        while len(clouds) >= CLOUDS:
            del clouds[next(iter(clouds))]
        clouds[asked] = plots.embedding_cloud(state.cohort, *asked)
    cloud = clouds[asked]

    def image(counter: int, x_range: Any, y_range: Any, width: int, height: int, scale: float) -> hv.RGB:
        rows = state.selected_rows() if state.selection else None
        return plots.cloud_image(cloud, rows, x_range, y_range, width, height)

    look = plots.cloud_look(cloud)
    drawn = hv.DynamicMap(image, streams=[hv.streams.RangeXY(), hv.streams.PlotSize(), chosen])
    look["hooks"].append(_listener(cloud, tell))
    return drawn.opts(hv.opts.RGB(**look, lod={"timeout": SETTLED_MS}, backend="bokeh"))


@once_a_table
def _clouds(cohort: pd.DataFrame) -> dict[tuple[str, str, str], plots.Cloud]:
    """Those that were drawn of it last, for all sessions: of a million points each takes a second."""
    return {}


CLOUDS = 4  # of one table


def _listener(cloud: plots.Cloud, tell: Callable[[np.ndarray], None]) -> Any:
    x, y = (cloud.points[axis].to_numpy() for axis in "xy")

    def listen(plot: Any, element: Any) -> None:
        from bokeh.events import SelectionGeometry

        figure = plot.state
        if HEARD in figure.tags:
            return  # a plot that is drawn again comes here again
        figure.tags.append(HEARD)

        def take(event: Any) -> None:
            if event.final:
                pixel = tuple(
                    abs(r.end - r.start) / max(n or 0, 1)
                    for r, n in ((figure.x_range, figure.inner_width), (figure.y_range, figure.inner_height))
                )
                tell(rows_inside(x, y, event.geometry, pixel))

        figure.on_event(SelectionGeometry, take)

    return listen


SETTLED_MS = 150  # after the last turn of the wheel the new part is asked for; Bokeh waits 500
HEARD = "workbench: outlines are heard"
