"""How a column is spread over the sites."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.plots.palette import as_categories, category_colors
from workbench.plots.scatter import is_continuous

if TYPE_CHECKING:
    import holoviews as hv

MOST_BINS = 30


def histograms(
    table: pd.DataFrame, column: str, *, by: str = "site", colors: pd.Series | None = None, title: str = ""
) -> hv.Overlay | hv.Bars:
    """Numbers: one histogram a site, as steps over common bins. Categories: bars side by side.

    Args:
        table: One row a scan.
        column: What is counted; rows without it are left out, and the title of the axis says of how many it is.
        by: Column of the site.
        colors: The column ``by`` of the whole cohort, so that a site keeps its colour in a part of it.
        title: Of the plot.

    Returns:
        An overlay of steps with a legend "site (n)", or bars. Counts are scans.
    """
    import holoviews as hv
    import holoviews.plotting.bokeh  # registers the backend that the options below are for

    sites = pd.Series(as_categories(table[by]) if by in table else ["all"] * len(table))
    palette = category_colors((table[by] if colors is None else colors) if by in table else ["all"])
    known = table[column].notna().to_numpy() & (table[column].astype(str) != "").to_numpy()
    sites, values = sites[known], table[column][known]
    label = f"{column} ({len(values)} of {len(table)} scans)"
    names = [name for name in palette if (sites == name).any()]
    common = {"responsive": True, "title": title, "ylabel": "scans", "backend": "bokeh", "toolbar": "above"}
    if not is_continuous(table[column]) or not len(values):
        counts = pd.DataFrame({"value": as_categories(values), "site": sites.to_numpy()})
        counts = counts.value_counts().rename("scans").reset_index().sort_values(["value", "site"])
        bars = hv.Bars(counts, [hv.Dimension("value", label=label), hv.Dimension("site", label=by)], "scans")
        return bars.opts(
            color="site", cmap=palette, show_legend=True, legend_position="right", tools=["hover"], **common
        )
    numbers = pd.to_numeric(values).to_numpy(float)
    edges = np.histogram_bin_edges(numbers, bins=min(MOST_BINS, max(5, int(np.sqrt(len(numbers)) * 2))))
    steps = []
    for name in names:
        own = numbers[(sites == name).to_numpy()]
        counts_of = np.histogram(own, edges)[0]
        # the outline of the bars: two points an edge, down to 0 at both ends
        x, y = np.repeat(edges, 2), np.concatenate([[0], np.repeat(counts_of, 2), [0]])
        area = hv.Area(
            pd.DataFrame({"x": x, "scans": y}), hv.Dimension("x", label=label), "scans", label=f"{name} ({len(own)})"
        )
        steps.append(
            area.opts(color=palette[name], fill_alpha=0.25, line_color=palette[name], line_width=2, backend="bokeh")
        )
    return hv.Overlay(steps).opts(legend_position="right", shared_axes=False, **common)
