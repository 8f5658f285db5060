"""The embedding scatter: one point a scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.columns import has_value, holds_arrays
from workbench.plots.palette import UNKNOWN, as_categories, category_colors

if TYPE_CHECKING:
    import holoviews as hv

MAX_CATEGORIES = 14  # a column of text or whole numbers with more values than this is no legend
HOVER = ("scan_id", "participant", "site", "sex", "age")
FRAME: dict[str, Any] = {
    "default_tools": ["pan", "wheel_zoom", "reset", "save"],
    "active_tools": ["lasso_select", "tap"],
    "toolbar": "above",
    "xticks": 4,
    "yticks": 4,
    "responsive": True,
}  # of a scatter of the embedding, whoever draws it
MANY = 5000  # points; beyond, numbers alone go to the browser, and WebGL draws them


def embedding_scatter(
    table: pd.DataFrame, x: str, y: str, color: str, *, size: float = 8, title: str = ""
) -> hv.Points:
    """Scatter of two projection columns, one row of ``table`` a point, in the order of the rows.

    Args:
        table: One row a scan with at least ``scan_id``, ``x``, ``y`` and ``color``.
        x: Column on the first axis, for example ``"umap_1"``. Projections have no unit.
        y: Column on the second axis.
        color: Column that gives the colour: categories by name, numbers on a continuous scale.
        size: Of the points, in pixels; above 5,000 points it is 3.
        title: Of the plot.

    Returns:
        Points with key dimensions ``x, y`` and value dimensions ``color`` and those of ``scan_id, participant, site,
        sex, age`` that the table has. Inside the element the columns have fixed names, so that no name from the data
        can act on the plot; the labels show the names of the data. ``legend`` is the category with its number of scans.
        Above 5,000 points only numbers are sent (float32, the category as its position), and there is nothing to
        hover over.
    """
    import holoviews as hv
    import holoviews.plotting.bokeh  # registers the backend that the options below are for
    from bokeh.models import HoverTool

    many = len(table) > MANY
    hover = [column for column in HOVER if column in table and not many]
    numeric = is_continuous(table[color])
    values = pd.Series(pd.to_numeric(table[color]).to_numpy() if numeric else as_categories(table[color]), dtype=None)
    counts = values.value_counts()
    colors = {} if numeric else category_colors(table[color])
    legend = {name: f"{name} ({counts[name]})" for name in colors}
    if many and not numeric:
        values = values.map({name: i for i, name in enumerate(colors)}).astype(np.float32)
    data = pd.DataFrame(
        {
            "x": pd.to_numeric(table[x]).to_numpy(),
            "y": pd.to_numeric(table[y]).to_numpy(),
            "color": values,
            **({} if numeric or many else {"legend": [legend[v] for v in values]}),
            **{column: _shown(table[column]) for column in hover},
        }
    )
    if many:
        data = data.astype(np.float32)
    by_name = "legend" in data
    points = hv.Points(
        data,
        [hv.Dimension("x", label=axis_label(x)), hv.Dimension("y", label=axis_label(y))],
        [hv.Dimension("color", label=color), *(["legend"] if by_name else []), *hover],
    )
    shades: dict[str, Any]
    if numeric:
        shades = {"cmap": "cividis", "colorbar": True, "clabel": color, "colorbar_opts": {"width": 10}}
    elif by_name:
        shades = {
            "cmap": {legend[v]: c for v, c in colors.items()},
            "show_legend": True,
            "legend_position": "right",
            "hooks": [sort_legend],
        }
    else:
        shades = {
            "cmap": list(colors.values()),
            "clim": (-0.5, len(colors) - 0.5),
            "color_levels": len(colors),
            "hooks": [named_legend({legend[v]: c for v, c in colors.items()})],
        }
    shades["hooks"] = [*shades.get("hooks", []), _drawn_by("webgl" if many else "canvas")]
    tools = select_tools()
    if hover:
        tips = [(column, f"@{column}") for column in hover] + ([] if color in hover else [("colour", "@color")])
        tooltip = HoverTool(tooltips=tips)
        if "limit" in HoverTool.properties():  # newer Bokeh: a crowd of points must not cover the page with names
            tooltip.limit = 2
        tools.append(tooltip)
    edge = {"line_color": None} if many else {"line_color": "white", "line_width": 0.5}
    return points.opts(
        color="legend" if by_name else "color",
        size=3 if many else size,
        alpha=0.6 if many else 0.9,
        selection_alpha=1.0,
        nonselection_alpha=0.05 if many else 0.15,
        tools=tools,
        title=title,
        backend="bokeh",
        **FRAME,
        **edge,
        **shades,
    )


def select_tools() -> list[Any]:
    """For tools; the lasso acts when the mouse is let go: at each move it would be a selection, sent to the server."""
    from bokeh.models import LassoSelectTool

    return ["tap", "box_select", LassoSelectTool(continuous=False)]


def case_ring(table: pd.DataFrame, x: str, y: str, scan_id: str) -> hv.Points:
    """A ring around one scan, to lay over :func:`embedding_scatter`; no point where the scan is not in the table."""
    import holoviews as hv
    import holoviews.plotting.bokeh

    rows = table.loc[table["scan_id"] == scan_id]
    points = hv.Points(pd.DataFrame({"x": rows[x].to_numpy(), "y": rows[y].to_numpy()}), ["x", "y"])
    return points.opts(size=18, fill_alpha=0, line_color="#D81B60", line_width=2.5, tools=[], backend="bokeh")


def with_ring(points: hv.Points, ring: Any) -> hv.Overlay:
    """The scatter with a ring (an element, or a DynamicMap of it) on top."""
    hooks = points.opts.get("plot").kwargs.get("hooks", [])
    return (points * ring).opts(hooks=hooks, backend="bokeh")  # an overlay makes a legend of its own


def is_continuous(column: pd.Series) -> bool:
    """Numbers that are a scale rather than codes of a few categories."""
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return False
    values = column.dropna()
    few_whole = values.nunique() <= 4 and bool((values == values.round()).all())
    return not few_whole and len(values) > 0


def colorable(table: pd.DataFrame) -> list[str]:
    """The columns worth colouring by: a scale, or at most 14 categories."""
    good = []
    for column in table.columns:
        values = table[column]
        if holds_arrays(values):
            continue
        filled = values[has_value(values)]
        if len(filled) and (is_continuous(values) or filled.nunique() <= MAX_CATEGORIES):
            good.append(column)
    return good


def axis_label(column: str) -> str:
    """``"umap_1"`` → ``"UMAP 1"``."""
    return column.replace("_", " ").upper().replace("TSNE", "t-SNE")


def sort_legend(plot: Any, element: Any) -> None:
    """Bokeh lists categories in the order of the rows; the legend is to be in the order of the names."""
    from bokeh.models.annotations import LegendItem

    for legend in plot.state.legend:
        renderers = [r for item in legend.items for r in item.renderers if "legend" in r.data_source.data]
        if not renderers:
            continue
        names = list(renderers[0].data_source.data["legend"])
        order = sorted(set(names), key=lambda name: (name.startswith(f"{UNKNOWN} ("), name))
        legend.items = [
            LegendItem(label={"value": name}, renderers=renderers[:1], index=names.index(name)) for name in order
        ]


def named_legend(colors: dict[str, str]) -> Any:
    """A legend of names that the points themselves do not carry."""

    def add(plot: Any, element: Any) -> None:
        from bokeh.models import ColumnDataSource, Scatter
        from bokeh.models.annotations import Legend, LegendItem

        figure = plot.state
        if any(getattr(legend, "name", "") == "named" for legend in figure.legend):
            return
        nowhere = {"x": [float("nan")], "y": [float("nan")]}  # a legend draws the first of the points, if there is one
        items = [
            LegendItem(
                label={"value": name},
                renderers=[
                    figure.add_glyph(
                        ColumnDataSource(nowhere), Scatter(x="x", y="y", fill_color=c, line_color=None, size=8)
                    )
                ],
            )
            for name, c in colors.items()
        ]
        figure.add_layout(Legend(items=items, name="named"), "right")

    return add


def _drawn_by(backend: str) -> Any:
    def choose(plot: Any, element: Any) -> None:
        plot.state.output_backend = backend

    return choose


def _shown(column: pd.Series) -> list[str]:
    return ["" if pd.isna(v) else f"{v:g}" if isinstance(v, float) else str(v) for v in column]
