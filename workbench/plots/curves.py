"""Curves of a training: one point a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from workbench.plots.palette import CATEGORIES

if TYPE_CHECKING:
    import holoviews as hv


def training_curves(
    metrics: pd.DataFrame,
    columns: Sequence[str],
    *,
    x: str = "step",
    label: str = "value",
    title: str = "",
    width: int = 380,
    height: int = 260,
) -> hv.Overlay:
    """Several columns of one run's metrics over its steps.

    Args:
        metrics: ``Run.metrics()``: one row a step, with ``x`` and ``columns``.
        columns: What is drawn, one curve each, in the palette's order.
        x: Column on the horizontal axis.
        label: Of the vertical axis.
        title: Of the plot.
        width: Of the frame inside the axes, in pixels.
        height: Of the frame, in pixels.

    Returns:
        An overlay of curves; each holds the rows that have a value, a step that was repeated after a resume once.
    """
    return _overlay(
        {column: metrics for column in columns}, {column: column for column in columns}, x, label, title, width, height
    )


def run_curves(
    runs: Mapping[str, pd.DataFrame],
    column: str,
    *,
    x: str = "step",
    label: str = "",
    title: str = "",
    width: int = 380,
    height: int = 260,
) -> hv.Overlay:
    """One column of several runs' metrics, one curve a run.

    Args:
        runs: Name shown in the legend → the run's metrics.
        column: What is drawn; ``label`` is its name on the vertical axis.
        x, title, width, height: As in :func:`training_curves`.
    """
    return _overlay(runs, dict.fromkeys(runs, column), x, label or column, title, width, height)


def steps(metrics: pd.DataFrame, x: str, column: str) -> pd.DataFrame:
    """Rows with a value in ``column``, in the order of ``x``; the last of those that were logged twice."""
    if column not in metrics or x not in metrics:
        raise KeyError(
            f"the metrics have no column '{column if column not in metrics else x}'; "
            f"they have: {', '.join(metrics.columns)}"
        )
    kept = metrics[[x, column]].dropna()
    # a run that was killed had logged steps beyond its last checkpoint, and logs them again after it
    return kept.drop_duplicates(x, keep="last").sort_values(x, ignore_index=True)


def _overlay(
    tables: Mapping[str, pd.DataFrame],
    columns: Mapping[str, str],
    x: str,
    label: str,
    title: str,
    width: int,
    height: int,
) -> hv.Overlay:
    import holoviews as hv
    import holoviews.plotting.bokeh  # registers the backend that the options below are for

    curves = []
    for number, (name, metrics) in enumerate(tables.items()):
        data = steps(metrics, x, columns[name]).set_axis(["x", "y"], axis=1)
        color = CATEGORIES[number % len(CATEGORIES)]
        curve = hv.Curve(data, hv.Dimension("x", label=x), hv.Dimension("y", label=label), label=name)
        curves.append(curve.opts(color=color, line_width=2, tools=["hover"], backend="bokeh"))
    # curves of different runs and of different quantities lie side by side: each keeps its own axes
    return hv.Overlay(curves).opts(
        frame_width=width,
        frame_height=height,
        title=title,
        show_grid=True,
        legend_position="right",
        shared_axes=False,
        backend="bokeh",
    )
