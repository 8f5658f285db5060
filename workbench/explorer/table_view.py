"""The table of the selected scans."""

from __future__ import annotations

from html import escape
from typing import Any

import pandas as pd
import panel as pn

from workbench.explorer.catalog import readable_columns
from workbench.explorer.state import ExplorerState
from workbench.explorer.style import TABLE
from workbench.explorer.views import TITLES, StateView, hint

PAGE = 7  # rows of the table that are seen at once


class TableView(StateView):
    """The selected scans; a click on a row makes it the case."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self.table = pn.widgets.Tabulator(
            pd.DataFrame(), disabled=True, show_index=False, selectable=1, pagination="local", page_size=PAGE,
            sizing_mode="stretch_width", height=262, layout="fit_data_fill", margin=(0, 10), theme="simple",
            stylesheets=[TABLE])
        self.table.on_click(self._clicked)
        self._hint = hint()
        self._all = pn.widgets.Button(name="Show all", button_style="outline", width=90, margin=(0, 10))
        self._all.on_click(lambda *_: state.select_rows([]))
        state.param.watch(lambda *_: self._fill(), ["selection", "cohort"])
        state.param.watch(lambda *_: self._mark(), ["case"])
        self._fill()

    def __panel__(self) -> pn.viewable.Viewable:
        return pn.Column(pn.Row(self._hint, self._all, sizing_mode="stretch_width", margin=0), self.table,
                         sizing_mode="stretch_width", margin=0)

    def _fill(self) -> None:
        state, rows = self.state, self.state.selected()
        columns = readable_columns(state.cohort) if len(state.cohort) else []
        self._ids = [str(i) for i in rows["scan_id"]] if len(rows) else []
        shown = rows[columns].reset_index(drop=True).copy() if len(rows) else pd.DataFrame()
        for column in shown.columns:
            rounded = shown[column].round(3) if pd.api.types.is_float_dtype(shown[column]) else shown[column]
            shown[column] = rounded.astype(object).where(rounded.notna(), None)  # a missing value is an empty cell
        # titles are set as HTML in the browser: escaped here; cells are shown as text by the table itself
        self.table.titles = {c: escape(TITLES.get(c, c)) for c in columns}
        self.table.formatters = {c: {"type": "plaintext"} for c in columns}
        self.table.value = shown
        self._hint.object = (f"{len(rows)} of n = {len(state.cohort)} scans; click a row to see its scan."
                             if len(rows) else "")
        self._all.visible = bool(state.selection)
        self._mark()

    def _mark(self) -> None:
        here = [self._ids.index(self.state.case)] if self.state.case in self._ids else []
        if self.table.selection != here:
            self.table.selection = here
        if here:
            page = here[0] // PAGE + 1
            if self.table.page != page:
                self.table.page = page

    def _clicked(self, event: Any) -> None:
        if 0 <= event.row < len(self._ids):
            self.state.select_case(self._ids[event.row])
