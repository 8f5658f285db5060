"""Figures for a paper: matplotlib, at the width of a column or a page, as PDF, SVG and PNG of 300 dpi.

Apart from what is on the screen: a figure is made anew from the same table, and nothing shown is touched.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.plots.palette import CATEGORIES, as_categories, category_colors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 300
COLUMN, PAGE = 3.5, 7.2  # inches: one column of a journal, and the whole page
WIDEST = PAGE / 3  # of one picture among several
STYLE: Any = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",  # text stays text, to be edited
    "pdf.fonttype": 42,
}


def scatter_figure(
    table: pd.DataFrame, x: str, y: str, color: str, *, selected: Sequence[str] = (), width: float = PAGE / 2
) -> Figure:
    """The embedding scatter, one point a scan.

    Args:
        table: One row a scan with ``scan_id``, ``x``, ``y`` and ``color``.
        x: Column on the first axis; projections have no unit.
        y: Column on the second axis.
        color: Categories, or numbers on a scale.
        selected: scan_ids that stay full while the others fade; empty: all.
        width: In inches.
    """
    from workbench.plots.scatter import axis_label, is_continuous

    figure, axis = _blank(width, 0.85 * width)
    many = len(table) > 5000  # as a picture inside the vector file
    strong = table["scan_id"].isin(list(selected)).to_numpy() if len(selected) else np.ones(len(table), bool)
    size = float(np.clip(4000 / max(len(table), 1), 1, 16))
    at = table[[x, y]].to_numpy(float)
    if is_continuous(table[color]):
        values = pd.to_numeric(table[color]).to_numpy(float)
        axis.scatter(*at[~strong].T, s=size, c="#d0d4d9", lw=0, rasterized=many)
        drawn = axis.scatter(*at[strong].T, s=size, c=values[strong], cmap="cividis", lw=0, rasterized=many)
        figure.colorbar(drawn, ax=axis, label=color, fraction=0.05)
    else:
        names = np.array(as_categories(table[color]))
        for name, shade in category_colors(table[color]).items():
            mine = names == name
            axis.scatter(*at[mine & ~strong].T, s=size, c=shade, alpha=0.15, lw=0, rasterized=many)
            axis.scatter(
                *at[mine & strong].T,
                s=size,
                c=shade,
                lw=0,
                label=f"{name} (n = {int(mine.sum())})",
                rasterized=many,
            )
        figure.legend(loc="outside lower center", ncols=3, frameon=False, markerscale=1.6, title=color)
    axis.set(xlabel=axis_label(x), ylabel=axis_label(y), xticks=[], yticks=[])
    axis.set_aspect("equal", "datalim")
    return figure


def scores_figure(table: pd.DataFrame, runs: Sequence[str], label: str, *, width: float = PAGE) -> Figure:
    """Scores of runs by site, a point a scan, and the mean over people as a bar.

    Args:
        table: run, scan_id, participant, site, value.
        runs: In the order in which they stand.
        label: Of the vertical axis, with the unit.
        width: In inches.
    """
    figure, axis = _blank(width, 0.45 * width)
    runs = [run for run in runs if (table["run"] == run).any()]
    sites, step = sorted(table["site"].astype(str).unique()), len(runs) + 1
    order = {name: (k * 0.618034) % 1 - 0.5 for k, name in enumerate(sorted(table["scan_id"].unique()))}
    for k, run in enumerate(runs):
        mine = table[table["run"] == run]
        place = mine["site"].astype(str).map({s: i * step for i, s in enumerate(sites)}).to_numpy(float) + k
        spread = 0.6 * np.array([order[name] for name in mine["scan_id"]])
        shade = CATEGORIES[k % len(CATEGORIES)]
        people = mine["participant"].nunique()
        axis.scatter(place + spread, mine["value"], s=7, c=shade, lw=0, alpha=0.7, label=f"{run} (n = {people} people)")
        for i, site in enumerate(sites):
            person = mine[mine["site"].astype(str) == site].groupby("participant")["value"].mean()
            if len(person):
                axis.hlines(person.mean(), i * step + k - 0.4, i * step + k + 0.4, color="black", lw=1.2)
    axis.set_xticks([i * step + (len(runs) - 1) / 2 for i in range(len(sites))], sites)
    axis.set_ylabel(label)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def strips_figure(
    strips: Sequence[tuple[str, Sequence[np.ndarray | None]]],
    columns: Sequence[str],
    *,
    legend: Mapping[str, Sequence[int]] | None = None,
    bar: tuple[str, float, float, Sequence[Sequence[int]]] | None = None,
    width: float = PAGE,
) -> Figure:
    """Slices of n cases in rows and runs or overlays in columns, on black, one scale in mm for all.

    Args:
        strips: For each row its name and, for each column, an RGB picture ``(height, width, 3)`` in 0 … 1 whose
            pixels are square and of the same size in mm in all of them; None where there is nothing to show, which
            the figure says.
        columns: Names of the columns.
        legend: What the colours (0–255) stand for, below all of them.
        bar: One colour bar for all of them: what it measures, its ends, and its colours (0–255) at equal steps.
        width: In inches, at most; no picture is wider than a third of a page.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.patches import Patch

    drawn = [p for _, row in strips for p in row if p is not None]
    tallest, widest = (max((p.shape[axis] for p in drawn), default=1) for axis in (0, 1))
    cell = min(width / max(len(columns), 1), WIDEST)
    size = max(cell * len(columns), COLUMN), cell * tallest / widest * len(strips) + 0.3
    figure, axes = _grid(len(strips), len(columns), *size)
    for i, (name, row) in enumerate(strips):
        for k, picture in enumerate(row):
            axis = axes[i][k]
            axis.set_facecolor("black")
            high, wide = (tallest, widest) if picture is None else picture.shape[:2]
            if picture is None:
                axis.text(wide / 2, high / 2, "none of this scan", color="white", fontsize=6, ha="center", va="center")
                axis.set_aspect("equal")
            else:
                axis.imshow(picture, interpolation="nearest")
            axis.set_xlim(wide / 2 - widest / 2, wide / 2 + widest / 2)
            axis.set_ylim(high / 2 + tallest / 2, high / 2 - tallest / 2)
            axis.set(xticks=[], yticks=[])
            if i == 0:
                axis.set_title(columns[k], fontsize=7)
            if k == 0:
                axis.set_ylabel(name, fontsize=6)
    if bar:
        label, low, high, ramp = bar
        colours = LinearSegmentedColormap.from_list("ramp", np.asarray(ramp, float) / 255)
        scale = ScalarMappable(Normalize(low, high), colours)
        made = figure.colorbar(scale, ax=axes, location="right", shrink=0.8, aspect=30, pad=0.01)
        made.set_label(label, fontsize=7)
        made.ax.tick_params(labelsize=6)
    if legend:
        shades = [Patch(color="#" + bytes(color).hex(), label=name) for name, color in legend.items()]
        figure.legend(handles=shades, loc="outside lower center", ncols=2, frameon=False, fontsize=7)
    return figure


def figure_files(figure: Figure, stem: str, caption: str, code: str) -> bytes:
    """A zip of the figure as PDF, SVG and PNG (300 dpi), its caption, and the Python lines that make it again."""
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context(STYLE), zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        for kind in ("pdf", "svg", "png"):
            one = io.BytesIO()
            figure.savefig(one, format=kind, dpi=DPI)
            out.writestr(f"{stem}.{kind}", one.getvalue())
        out.writestr(f"{stem}.txt", caption + "\n")
        out.writestr(f"{stem}.py", code)
    return buffer.getvalue()


def _blank(width: float, height: float) -> tuple[Figure, Any]:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots()


def _grid(rows: int, columns: int, width: float, height: float) -> tuple[Figure, Any]:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots(max(rows, 1), max(columns, 1), squeeze=False)
