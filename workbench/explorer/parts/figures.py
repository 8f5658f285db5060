"""A button that gives a figure for a paper: made anew from the tables, so that nothing on the screen changes."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import panel as pn

from workbench import plots

HEAD = """from workbench import plots
from workbench.explorer.stored import scores
from workbench.explorer.stored.catalog import Catalog

"""


TOLD = "For a paper: PDF, SVG and PNG of 300 dpi, with a caption and the Python lines that make it again"


def figure_button(
    make: Callable[[], tuple[Any, str, str]],
    stem: str,
    visible: Any = True,
    *,
    label: str = "Figure",
    told: str = TOLD,
    **look: Any,
) -> pn.widgets.FileDownload:
    """A zip of PDF, SVG, PNG, caption and Python lines.

    Args:
        make: Gives figure, caption, and the lines that bind ``figure`` again (after those of ``HEAD``).
        stem: Of the files' names.
        visible: Or a bound function that tells whether there is something to draw.
        label: On the button.
        told: When the mouse rests on it.
        look: Size and margin, where they differ.
    """

    def work() -> io.BytesIO:
        figure, caption, code = make()
        code = f'{HEAD}{code}\nfigure.savefig("{stem}.pdf")\n'
        return io.BytesIO(plots.figure_files(figure, stem, caption, code))

    return pn.widgets.FileDownload(
        callback=work,
        filename=f"{stem}.zip",
        label=label,
        description=told,
        button_style="outline",
        align="start",
        visible=visible,
        **{"width": 90, "height": 32, "margin": (22, 4, 0, 4), **look},
    )
