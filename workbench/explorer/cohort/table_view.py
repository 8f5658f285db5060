"""The table of the selected scans."""

from __future__ import annotations

import io
import re
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import panel as pn

from workbench.columns import column
from workbench.explorer.parts.spreadsheet import safe_csv
from workbench.explorer.parts.state_view import MARKS, StateView
from workbench.explorer.parts.tables import chooser, head
from workbench.explorer.parts.text import hint
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored.catalog import readable_columns
from workbench.explorer.stored.shared import once_a_table

PAGE = 6  # rows of the table that are seen at once


class TableView(StateView):
    """The selected scans; a click on a row makes it the case.

    Sorted, filtered and cut into pages on the server, so that a lasso over 100,000 scans sends six rows, and sorting
    sorts all of them.
    """

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self.table = chooser(selectable=1, page_size=PAGE, sizing_mode="stretch_both", min_height=120)
        self.table.on_click(self._clicked)
        self._hint = hint()
        small: dict[str, Any] = {"button_style": "outline", "height": 26, "margin": (0, 4)}
        self._all = pn.widgets.Button(name="Show all", width=80, **small)
        self._all.on_click(lambda *_: state.select_rows([]))
        self._take = pn.widgets.Button(name="Select filtered", width=110, **small)
        self._take.on_click(lambda *_: self._select_filtered())
        self._csv = pn.widgets.FileDownload(
            callback=self._export, filename="selection.csv", label="CSV", width=80, **small
        )
        self._whole = pd.DataFrame()  # what the table would show of the whole cohort, made once
        self.table.param.watch(lambda *_: self._tell_order(), ["sorters", "filters"])
        state.param.watch(lambda *_: self._tell_order(), ["view"])
        state.param.watch(lambda *_: self._prepare(), ["cohort"])
        state.param.watch(lambda *_: self._fill(), ["selection", "cohort"])
        state.param.watch(lambda *_: self._mark(), ["case"], precedence=MARKS)
        self._prepare()
        self._fill()

    def __panel__(self) -> pn.viewable.Viewable:
        return pn.Column(
            pn.Row(self._hint, self._all, self._take, self._csv, sizing_mode="stretch_width", margin=0),
            self.table,
            sizing_mode="stretch_both",
            margin=0,
            styles={"min-height": "0"},
        )

    def _prepare(self) -> None:
        cohort = self.state.cohort
        columns, self._whole = _shown(cohort)
        fields = {c: field(i, c) for i, c in enumerate(columns)}
        # titles are set as HTML in the browser: escaped here; cells are shown as text by the table itself
        head(self.table, {fields[c]: escape(column(c).heading) for c in columns})
        self.table.header_filters = {
            fields[c]: {"type": "number", "func": ">=", "placeholder": "≥"}
            if pd.api.types.is_numeric_dtype(cohort[c]) and not pd.api.types.is_bool_dtype(cohort[c])
            else {"type": "input", "func": "like", "placeholder": "…"}
            for c in columns
        }

    def _fill(self) -> None:
        state = self.state
        self._rows = rows = state.selected_rows()  # of the cohort, as the table has them
        # the whole cohort is the table that all sessions share, not a copy for each
        chosen = self._whole.iloc[rows].reset_index(drop=True) if state.selection else self._whole
        self.table.value = chosen if len(rows) else pd.DataFrame()
        self._tell_order()
        self._all.disabled = not state.selection  # not hidden: what comes and goes moves the page
        self._take.visible = self._csv.visible = bool(len(rows))
        self._mark()

    def _tell_order(self) -> None:
        """Next and previous follow what the table shows; the count says how many that are."""
        table, rows = self.table, self.state.selected_rows()
        arranged = bool(table.sorters or table.filters)
        view = table.current_view.index.to_numpy(int) if arranged and len(rows) else np.arange(len(rows))
        if self.state.view == "cohort":  # other pages have an order of their own, or keep that of the page before
            self.state.set_order(rows[view] if arranged else None)
        self._count(len(view))

    def _count(self, shown: int) -> None:
        n, of = len(self._rows), len(self.state.cohort)
        filtered = f"{shown} shown by the filters of " if shown != n else ""
        self._hint.object = f"{filtered}{n} of n = {of} scans" if n else ""

    def _mark(self) -> None:
        at = self.state.case_row_of_selection()
        here = [] if at is None else [at]
        if self.table.selection != here:
            self.table.selection = here
        if here and not self.table.sorters and not self.table.filters:
            self.table.page = here[0] // PAGE + 1

    def _clicked(self, event: Any) -> None:
        if 0 <= event.row < len(self._rows):
            self.state.select_case(str(self.state.cohort["scan_id"].iloc[self._rows[event.row]]))

    def _select_filtered(self) -> None:
        self.state.select_rows(self._rows[self.table.current_view.index.to_numpy(int)])

    def _export(self) -> io.BytesIO:
        """The shown scans as CSV with the columns that are for readers; simulated data says so in each row."""
        rows = self.state.selected()
        table = rows[["scan_id", *readable_columns(rows)]].assign(embedding=self.state.embed_run)
        if self.state.simulated:
            table["simulated"] = rows.get("simulated", True)
        return io.BytesIO(safe_csv(table).encode())


@once_a_table
def _shown(cohort: pd.DataFrame) -> tuple[list[str], pd.DataFrame]:
    """The readable columns, and their values under the names that the browser's table uses. Texts and numbers stay in
    pandas' own types: of half a million Python objects, to take the chosen ones costs ten times as much."""
    columns = readable_columns(cohort) if len(cohort) else []
    whole = cohort[columns].copy() if len(cohort) else pd.DataFrame()
    for name in columns:
        if pd.api.types.is_numeric_dtype(whole[name]) and not pd.api.types.is_bool_dtype(whole[name]):
            whole[name] = whole[name].astype(float).round(3)
        elif not isinstance(whole[name].dtype, pd.StringDtype):
            whole[name] = whole[name].astype(object).where(whole[name].notna(), None)
    return columns, whole.rename(columns={c: field(i, c) for i, c in enumerate(columns)})


def field(place: int, column: str) -> str:
    """What the browser's table calls a column: its name if that is a plain word, else a word of ours. Between two
    states of the page a title can be missing, and the browser then shows this name, as HTML."""
    return column if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", column) else f"column {place}"
