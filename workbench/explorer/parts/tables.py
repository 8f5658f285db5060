"""Tables to look at and to choose from."""

from __future__ import annotations

from typing import Any

import pandas as pd
import panel as pn

from workbench.explorer.parts.style import TABLE


def chooser(**params: Any) -> pn.widgets.Tabulator:
    """A table that is read, sorted and paged on the server; a click chooses a row, nothing is edited.

    Without Tabulator's own keys: they are for cells that are edited, and keep the Tab key inside the table.
    """
    how: dict[str, Any] = {
        "disabled": True,
        "show_index": False,
        "pagination": "remote",
        "layout": "fit_data_fill",
        "margin": (0, 10),
        "theme": "simple",
        "stylesheets": [TABLE],
        "configuration": {"keybindings": False},
    }
    return pn.widgets.Tabulator(pd.DataFrame(), **{**how, **params})


def turn_to(table: pn.widgets.Tabulator, page: int) -> None:
    """Open a page of it. Of a table that is not drawn yet only later: Panel 1.9 would draw the rows of that page under
    a pager that says 1."""
    document = pn.state.curdoc
    if table._models or document is None or document.session_context is None:
        if table.page != page:
            table.page = page
    elif page != 1:
        document.add_timeout_callback(lambda: turn_to(table, page), SETTLE_MS)


SETTLE_MS = 1500
