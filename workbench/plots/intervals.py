"""Estimates with their intervals, one a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.plots.palette import CATEGORIES

if TYPE_CHECKING:
    import holoviews as hv


def interval_plot(
    table: pd.DataFrame,
    *,
    name: str,
    value: str = "value",
    low: str = "low",
    high: str = "high",
    reference: float | None = None,
    label: str = "",
    title: str = "",
    sides: tuple[str, str] | None = None,
    small: pd.DataFrame | None = None,
) -> hv.Overlay:
    """A forest plot: a point and a bar for each row, from top to bottom.

    Args:
        table: One row an estimate; ``low`` and ``high`` may be missing (NaN), then there is only the point.
        name: Column of the names on the vertical axis; those that are alike share a line.
        value, low, high: Columns of the estimate and the ends of its interval.
        reference: A vertical line, for example at 0 or at chance; it is always in view.
        label: Of the horizontal axis, with the unit.
        title: Of the plot.
        sides: What an estimate left and right of the reference means, said at the ends of the axis.
        small: What the estimates are means of, as small points: the columns of ``name`` and ``value``; others are
            told by the mouse.
    """
    import holoviews as hv
    import holoviews.plotting.bokeh  # registers the backend that the options below are for

    if sides:
        label = f"◂ {sides[0]}     {label}     {sides[1]} ▸"
    data = pd.DataFrame(
        {
            "name": table[name].astype(str),
            "value": pd.to_numeric(table[value]),
            "low": pd.to_numeric(table[low]),
            "high": pd.to_numeric(table[high]),
        }
    )
    data = data[data["value"].notna()].iloc[::-1]
    bars = data[data["low"].notna() & data["high"].notna()]
    axes = {"kdims": [hv.Dimension("value", label=label or value), hv.Dimension("name", label=" ")]}
    layers: list[Any] = [
        hv.Segments(
            bars[["low", "name", "high", "name"]].set_axis(["low", "name", "high", "name_end"], axis=1),
            [hv.Dimension("low", label=label or value), hv.Dimension("name", label=" "), "high", "name_end"],
        ).opts(color=CATEGORIES[0], line_width=3, backend="bokeh"),
        hv.Points(data, axes["kdims"], ["low", "high"]).opts(
            color=CATEGORIES[0], size=9, tools=["hover"], backend="bokeh"
        ),
    ]
    if small is not None and len(small):
        told = [column for column in small.columns if column not in (name, value)]
        dots = small.rename(columns={name: "name", value: "value"})
        dots = dots[dots["name"].isin(data["name"]) & dots["value"].notna()]
        layers.append(
            hv.Points(dots, axes["kdims"], told).opts(
                color="#1f2d3d", size=4, alpha=0.6, tools=["hover"], backend="bokeh"
            )
        )
    if reference is not None:
        layers.append(hv.VLine(reference).opts(color="#9AA0A6", line_dash="dashed", line_width=1.5, backend="bokeh"))
    every = data[["value", "low", "high"]].to_numpy(float)
    every = np.append(every[np.isfinite(every)], [] if reference is None else [reference])
    if small is not None:
        every = np.append(every, pd.to_numeric(small[value]).dropna())
    ends = (float(every.min()), float(every.max())) if len(every) else (0.0, 1.0)
    room = 0.06 * (ends[1] - ends[0] or 1.0)
    return hv.Overlay(layers).opts(
        responsive=True,
        xlim=(ends[0] - room, ends[1] + room),
        title=title,
        show_legend=False,
        toolbar="above",
        shared_axes=False,
        backend="bokeh",
    )
