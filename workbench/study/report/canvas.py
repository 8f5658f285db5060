"""What every figure of the report has in common: size, colours, and how it gets into the page."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from html import escape
from typing import Any

from workbench.plots.palette import CATEGORIES

GREY = "#9AA0A6"
COLOURS = tuple(colour for colour in CATEGORIES if colour != "#F0E442")  # yellow is not seen on white
LOOK: Any = {"svg.fonttype": "none", "svg.hashsalt": "workbench"}  # text stays text; the same figure is the same file


def arm_colours(arms: Sequence[str]) -> dict[str, str]:
    """One colour an arm, the same in every figure."""
    return {arm: COLOURS[i % len(COLOURS)] for i, arm in enumerate(arms)}


def figure_of(width: float, height: float) -> tuple[Any, Any]:
    figure = blank(width, height)
    axis = figure.add_subplot()
    tidy(axis)
    return figure, axis


def panels(count: int, width: float, height: float) -> tuple[Any, list[Any]]:
    """A figure of ``count`` panels of this size in inches with the same axes, as many in a row as the page holds."""
    columns = max(1, min(count, int(10.5 // width)))
    rows = -(-count // columns)
    figure = blank(max(3.4, columns * width + (1.0 if columns == 1 else 0.0)), rows * height)
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True, sharex=True).ravel()
    for i, axis in enumerate(axes):
        tidy(axis)
        axis.set_visible(i < count)
        axis.tick_params(labelbottom=True)
    return figure, list(axes[:count])


def blank(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def tidy(axis: Any) -> None:
    axis.spines[["top", "right"]].set_visible(False)


def legend(axis: Any) -> None:
    """Beside the whole figure, of which ``axis`` is any panel."""
    axis.figure.legend(*axis.get_legend_handles_labels(), loc="outside right upper", fontsize=8, frameon=False)


def svg(figure: Any, label: str) -> str:
    """The figure as text of a page, with words that can be selected and read aloud."""
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context(LOOK):
        figure.savefig(text, format="svg", metadata={"Date": None})
    found = text.getvalue()
    found = re.sub(r"<metadata>.*?</metadata>", "", found[found.index("<svg") :], flags=re.DOTALL)
    return found.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
