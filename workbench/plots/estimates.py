"""Estimates with their intervals, values by group, and ROC curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.plots.palette import CATEGORIES, category_colors

if TYPE_CHECKING:
    import holoviews as hv


def intervals(
    table: pd.DataFrame,
    label: str,
    *,
    estimate: str = "estimate",
    low: str = "low",
    high: str = "high",
    quantity: str = "",
    reference: float | None = None,
    title: str = "",
    width: int = 420,
) -> hv.Overlay:
    """One line a row: a point, and the interval around it (none where its ends are NaN).

    Args:
        table: One row an estimate.
        label: Column that names the rows; their order is kept, the first on top.
        estimate, low, high: Columns of the point and of the ends.
        quantity: Name of the axis, with its unit.
        reference: Where a line is drawn: no difference, or chance.
        title: Of the plot.
        width: Of the frame, in pixels.
    """
    import holoviews as hv
    import holoviews.plotting.bokeh  # registers the backend that the options below are for

    names = [str(name) for name in table[label]]
    rows = np.arange(len(names))[::-1].astype(float)
    points = pd.DataFrame({"x": table[estimate].to_numpy(float), "y": rows})
    bars = pd.DataFrame({"x": table[low].to_numpy(float), "y": rows, "x1": table[high].to_numpy(float), "y1": rows})
    across, up = hv.Dimension("x", label=quantity or estimate), hv.Dimension("y", label=" ")
    ends = bars[["x", "x1"]].to_numpy()
    every = np.concatenate([ends.ravel(), points["x"], [] if reference is None else [reference]])
    every = every[np.isfinite(every)]
    low_end, high_end = (every.min(), every.max()) if len(every) else (0.0, 1.0)
    room = 0.08 * (high_end - low_end or 1.0)
    parts: list[Any] = [
        hv.Segments(bars.dropna(), [across, up, "x1", "y1"]).opts(color=CATEGORIES[0], line_width=3, backend="bokeh"),
        hv.Points(points.dropna(), [across, up]).opts(color=CATEGORIES[0], size=9, tools=["hover"], backend="bokeh"),
    ]
    if reference is not None:
        parts.insert(0, hv.VLine(reference).opts(color="gray", line_dash="dashed", line_width=1, backend="bokeh"))
    return hv.Overlay(parts).opts(
        frame_width=width,
        frame_height=30 * len(names) + 30,
        title=title,
        yticks=list(zip(rows, names, strict=True)),
        xlim=(low_end - room, high_end + room),
        ylim=(-0.7, len(names) - 0.3),
        toolbar=None,
        xlabel=quantity or estimate,
        ylabel=" ",
        backend="bokeh",
    )  # else those of the line, which knows no quantity


def by_group(
    table: pd.DataFrame,
    value: str,
    group: str,
    *,
    quantity: str = "",
    title: str = "",
    width: int = 300,
    height: int = 240,
) -> hv.Overlay:
    """Every row as a point above the name of its group, and a line at the median of each group.

    Args:
        table: One row a scan or a person; rows without a value are left out.
        value: Column of numbers.
        group: Column of categories; what is missing is one of them, "unknown".
        quantity: Name of the axis, with its unit.
        title: Of the plot.
        width, height: Of the frame, in pixels.
    """
    import holoviews as hv
    import holoviews.plotting.bokeh

    values = pd.to_numeric(table[value]).to_numpy(float)
    colors = category_colors(table[group])
    names = np.array([name if name in colors else "unknown" for name in table[group].fillna("unknown").astype(str)])
    across, up = hv.Dimension("x", label=group), hv.Dimension("y", label=quantity or value)
    parts: list[Any] = []
    for place, (name, color) in enumerate(colors.items()):
        mine = np.sort(values[(names == name) & np.isfinite(values)])
        if not len(mine):
            continue
        # beside each other rather than at random: the same table gives the same picture
        at = place + 0.25 * np.resize([0.0, -1.0, 1.0, -0.5, 0.5], len(mine))
        middle = float(np.median(mine))
        parts += [
            hv.Points(np.stack([at, mine], axis=1), [across, up]).opts(
                color=color, size=6, alpha=0.8, tools=["hover"], backend="bokeh"
            ),
            hv.Segments([(place - 0.4, middle, place + 0.4, middle)], [across, up, "x1", "y1"]).opts(
                color="black", line_width=2, backend="bokeh"
            ),
        ]
    return hv.Overlay(parts).opts(
        frame_width=width,
        frame_height=height,
        title=title,
        toolbar=None,
        show_grid=True,
        xticks=list(enumerate(colors)),
        xlim=(-0.6, len(colors) - 0.4),
        xrotation=30,
        shared_axes=False,
        backend="bokeh",
    )


def roc_curves(scores: Mapping[str, tuple[np.ndarray, np.ndarray]], *, title: str = "", size: int = 300) -> hv.Overlay:
    """Sensitivity against 1 − specificity at every threshold, one step curve an arm.

    Args:
        scores: Name → scores and whether positive, one a person.
        title: Of the plot.
        size: Edge of the frame, in pixels.
    """
    import holoviews as hv
    import holoviews.plotting.bokeh

    across = hv.Dimension("x", label="1 − specificity")
    up = hv.Dimension("y", label="sensitivity")
    parts: list[Any] = [
        hv.Curve([(0, 0), (1, 1)], across, up, label="guessing").opts(
            color="gray", line_dash="dashed", line_width=1, backend="bokeh"
        )
    ]
    for number, (name, (score, positive)) in enumerate(scores.items()):
        score, positive = np.asarray(score, float), np.asarray(positive, bool)
        cuts = [np.inf, *np.unique(score)[::-1]]
        curve = [((score[~positive] >= cut).mean(), (score[positive] >= cut).mean()) for cut in cuts]
        parts.append(
            hv.Curve(curve, across, up, label=name).opts(
                color=CATEGORIES[number % len(CATEGORIES)], line_width=2, backend="bokeh"
            )
        )
    return hv.Overlay(parts).opts(
        frame_width=size,
        frame_height=size,
        title=title,
        legend_position="right",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
        toolbar=None,
        backend="bokeh",
    )
