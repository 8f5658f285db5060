"""Tables to look at and to choose from."""

from __future__ import annotations

from typing import Any

import pandas as pd
import panel as pn

from workbench.explorer.parts.style import TABLE


class _Table(pn.widgets.Tabulator):
    """Rows that are numbered from 0 are not listed one by one, which of a million takes half a second a change; Panel
    takes the number of a row that is not in its list as it is."""

    def _update_index_mapping(self) -> None:
        index = getattr(self._processed, "index", None)
        if isinstance(index, pd.RangeIndex) and (index.start, index.step) == (0, 1):
            self._index_mapping: dict[int, Any] = {}
        else:
            super()._update_index_mapping()


def chooser(**params: Any) -> pn.widgets.Tabulator:
    """A table that is read, sorted and paged on the server; a click chooses a row, nothing is edited."""
    how: dict[str, Any] = {
        "disabled": True,
        "show_index": False,
        "pagination": "remote",
        "layout": "fit_data_fill",
        "margin": (0, 10),
        "theme": "simple",
        "stylesheets": [TABLE],
    }
    return _Table(pd.DataFrame(), **{**how, **params})


def head(table: pn.widgets.Tabulator, titles: dict[str, str]) -> None:
    """Its columns: titles, which are set as HTML and must be escaped; cells as plain text, and without an editor: each
    cell that has one is a stop of the Tab key, also where nothing may be edited."""
    table.param.update(
        titles=titles, formatters={c: {"type": "plaintext"} for c in titles}, editors=dict.fromkeys(titles)
    )
