"""Tables to look at and to choose from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import panel as pn

from workbench.explorer.parts.style import TABLE


class _Table(pn.widgets.Tabulator):
    """The one of Panel, but for three things (1.9).

    Rows that are numbered from 0 are not listed one by one, which of a million takes half a second a change: Panel
    takes the number of a row that is not in its list as it is. A number that is missing is an empty cell. And the
    chosen row of a later page is marked in a table that is new on the screen, too: there Panel counts it from the first
    page.
    """

    def _update_index_mapping(self) -> None:
        index = getattr(self._processed, "index", None)
        if isinstance(index, pd.RangeIndex) and (index.start, index.step) == (0, 1):
            self._index_mapping: dict[int, Any] = {}
        else:
            super()._update_index_mapping()

    def _process_column(self, values: Any, col: str, df: pd.DataFrame | None = None) -> Any:
        values = super()._process_column(values, col, df)
        if isinstance(values, np.ndarray) and values.dtype.kind == "f" and np.isnan(values).any():
            return [None if np.isnan(value) else float(value) for value in values]
        return values

    def _get_properties(self, doc: Any = None) -> dict[str, Any]:
        properties: dict[str, Any] = super()._get_properties(doc)
        if self.pagination == "remote" and self._processed is not None:
            rows = self.page_size or self.initial_page_size
            start = (self.page - 1) * rows
            places = self._processed.index.get_indexer(self.value.index[self.selection])
            properties["source"].selected.indices = [int(p) - start for p in places if start <= p < start + rows]
        return properties


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
