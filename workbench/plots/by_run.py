"""Scores of several runs, a point a scan, beside each other by site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.plots.palette import category_colors

if TYPE_CHECKING:
    import holoviews as hv


def scores_by_site(table: pd.DataFrame, runs: list[str], *, label: str, title: str = "") -> hv.Points:
    """A column of points for each run within each site, spread sideways by name so that a scan keeps its place.

    Args:
        table: run, scan_id, participant, site, value; one row a scan and run.
        runs: In the order in which they stand; runs that the table has not are left out.
        label: Of the vertical axis, with the unit.
        title: Of the plot.

    Returns:
        Points in the order of the rows of the table, coloured by run.
    """
    import holoviews as hv
    import holoviews.plotting.bokeh  # registers the backend that the options below are for

    runs = [run for run in runs if (table["run"] == run).any()]
    sites = sorted(table["site"].astype(str).unique())
    place = {run: k for k, run in enumerate(runs)}
    width = len(runs) + 1
    # a scan's place within its column comes from the order of the names, the same in each run
    order = {name: k for k, name in enumerate(sorted(table["scan_id"].unique()))}
    golden = np.array([(order[name] * 0.618034) % 1 for name in table["scan_id"]])
    x = (
        table["site"].astype(str).map({s: i * width for i, s in enumerate(sites)}).to_numpy(float)
        + table["run"].map(place).to_numpy(float)
        + 0.6 * (golden - 0.5)
    )
    counts = table["run"].value_counts()
    data = pd.DataFrame(
        {
            "x": x,
            "y": table["value"].to_numpy(float),
            "legend": [f"{run} ({counts[run]})" for run in table["run"]],
            **{c: table[c].astype(str).to_numpy() for c in ("scan_id", "participant", "site", "run")},
        }
    )
    points = hv.Points(
        data,
        [hv.Dimension("x", label=" "), hv.Dimension("y", label=label)],
        ["legend", "scan_id", "participant", "site", "run"],
    )
    colors = category_colors(runs)
    middles = [(i * width + (len(runs) - 1) / 2, site) for i, site in enumerate(sites)]

    def finish(plot: Any, element: Any) -> None:
        from workbench.plots.scatter import sort_legend

        sort_legend(plot, element)
        for legend in plot.state.legend:
            legend.update(padding=0, margin=2, label_text_font_size="11px", border_line_color=None)
            if len(runs) > 2:  # in one row the third was cut
                legend.ncols = 2

    return points.opts(
        color="legend",
        cmap={f"{run} ({counts[run]})": colors[run] for run in runs},
        size=7,
        alpha=0.85,
        line_color="white",
        line_width=0.5,
        nonselection_alpha=0.4,
        show_legend=True,
        legend_position="bottom",
        tools=["tap", "hover"],
        active_tools=["tap"],
        default_tools=["pan", "wheel_zoom", "reset", "save"],
        toolbar="above",
        title=title,
        xticks=middles,
        labelled=["y"],
        responsive=True,
        hooks=[finish],
        backend="bokeh",
    )
