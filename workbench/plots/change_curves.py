"""What moves as the acquisition changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from workbench.plots.palette import CATEGORIES

if TYPE_CHECKING:
    import holoviews as hv


def change_curves(curves: pd.DataFrame, measure: str, label: str, *, scan: pd.DataFrame | None = None) -> hv.Overlay:
    """Mean over people of a measure against the strength of each change, with its 95 % interval.

    Args:
        curves: Table ``curves`` of a whatif run: change, strength, measure, value, low, high, people.
        measure: Which.
        label: Of the vertical axis, with its unit.
        scan: Rows of one scan of the table ``whatif``, drawn as dashed lines in the same colours.

    Returns:
        An overlay; changes keep their colour whatever is shown.
    """
    import holoviews as hv
    import holoviews.plotting.bokeh  # registers the backend that the options below are for

    changes = list(dict.fromkeys(curves["change"]))
    x, y = hv.Dimension("strength", label="strength (1 = full)"), hv.Dimension("value", label=label)
    parts: list[hv.Element] = []
    for i, change in enumerate(changes):
        color = CATEGORIES[i % len(CATEGORIES)]
        rows = curves[(curves["change"] == change) & (curves["measure"] == measure)].sort_values("strength")
        if not len(rows):
            continue
        n = int(rows["people"].min())
        band = hv.Area((rows["strength"], rows["low"], rows["high"]), [x], [y, "high"])
        parts.append(band.opts(color=color, alpha=0.12, line_width=0, backend="bokeh"))
        name = f"{str(change).replace('_', ' ')} (n = {n})"
        parts.append(
            hv.Curve(rows[["strength", "value"]], [x], [y], label=name).opts(
                color=color, line_width=2, tools=["hover"], backend="bokeh"
            )
        )
        if scan is not None and len(own := scan[scan["change"] == change].sort_values("strength")):
            parts.append(
                hv.Curve((own["strength"], own[measure]), [x], [y]).opts(
                    color=color, line_width=1.5, line_dash="dashed", backend="bokeh"
                )
            )
    return hv.Overlay(parts).opts(
        responsive=True, min_height=260, show_grid=True, legend_position="right", shared_axes=False, backend="bokeh"
    )
