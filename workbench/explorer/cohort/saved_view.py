"""Selections that are kept under a name, which are the tags of scans as well."""

from __future__ import annotations

import functools
import io
from html import escape
from typing import Any

import pandas as pd
import panel as pn

from workbench.cohort import selections
from workbench.explorer.parts.panel_view import PanelView
from workbench.explorer.parts.state_view import visitor
from workbench.explorer.parts.style import HIDDEN_LABEL
from workbench.explorer.parts.tables import chooser, head
from workbench.explorer.parts.text import hint
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored.saved import saved

COLUMNS = {"name": "Name", "scans": "Scans", "people": "People", "by": "By", "time": "Last added to (UTC)"}


class SavedView(PanelView):
    """Names with their scans; a click on one selects them. What is selected, or else the case, is added or taken
    out."""

    panel = "saved"
    depends = ("selection", "cohort", "case")

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        small: dict[str, Any] = {"height": 28, "margin": (4, 3), "button_style": "outline"}
        self.called = pn.widgets.TextInput(
            name="Name",
            placeholder="Name or tag",
            max_length=selections.LONGEST,
            height=28,
            margin=(4, 4, 4, 10),
            sizing_mode="stretch_width",
            min_width=120,
            stylesheets=[HIDDEN_LABEL],
        )
        self._add = pn.widgets.Button(name="Add", width=128, **small)
        self._out = pn.widgets.Button(name="Take out", width=76, **small)
        self._add.on_click(functools.partial(self._change, True))
        self._out.on_click(functools.partial(self._change, False))
        self._tsv = pn.widgets.FileDownload(
            callback=self._export, filename="selections.tsv", label="TSV", width=66, **small
        )
        self.table = chooser(selectable=1, pagination=None, sizing_mode="stretch_both", min_height=80, sortable=False)
        head(self.table, COLUMNS)
        self.table.on_click(lambda event: self._choose(event.row))
        self._told = hint()
        state.param.watch(lambda event: self._look_again(event.new), "panel")
        self.refresh()

    def __panel__(self) -> pn.viewable.Viewable:
        return pn.Column(
            pn.Row(self.called, self._add, self._out, self._tsv, sizing_mode="stretch_width", margin=0),
            self.hint,
            self.table,
            self._told,
            sizing_mode="stretch_both",
            margin=0,
            styles={"min-height": "0"},
        )

    @property
    def file(self) -> Any:
        """Where they are kept."""
        return selections.selections_file(self.state.catalog.run(self.state.embed_run))

    def _look_again(self, panel: str) -> None:
        if panel == self.panel:  # somebody else may have saved one
            self._stale = True
            self.refresh()

    def _meant(self) -> pd.DataFrame:
        """What is selected; the case where nothing is."""
        state = self.state
        return state.selected() if state.selection else state.cohort[state.cohort["scan_id"] == state.case]

    def _change(self, more: bool, *_: Any) -> None:
        state = self.state
        with state.guarded():
            scans, name = self._meant(), str(self.called.value_input or self.called.value or "")
            if not len(scans) or not state.embed_run:
                return
            if more:
                selections.add_to(self.file, name, scans, visitor())
            else:
                selections.take_out(self.file, name, scans["scan_id"].astype(str))
            self.draw()

    def draw(self) -> None:
        state = self.state
        n = len(state.selection)
        self._add.name, self._out.disabled = (f"Add {n} selected" if n else "Add this scan"), False
        self._names: list[str] = []
        if not state.embed_run or not len(state.cohort):
            self.table.value, self.hint.object, self._told.object = pd.DataFrame(columns=list(COLUMNS)), "", ""
            return
        table = saved(state.catalog, state.embed_run)
        here = table[table["scan_id"].isin(state.cohort["scan_id"])]
        rows = []
        for name, all_ in table.groupby("name", sort=True):
            mine = here[here["name"] == name]
            lost = len(all_) - len(mine)
            rows.append(
                {
                    "name": name,
                    "scans": f"{len(mine)}" + (f" (and {lost} not of this cohort)" if lost else ""),
                    "people": str(mine["participant"].nunique()),
                    "by": ", ".join(sorted(set(all_["by"]))),
                    "time": all_["time"].max(),
                }
            )
        self._names = [row["name"] for row in rows]
        self.table.value = pd.DataFrame(rows, columns=list(COLUMNS))
        carried = sorted(here.loc[here["scan_id"] == state.case, "name"])
        self.hint.object = (
            f"<b>{escape(state.case)}</b> carries: {escape(', '.join(carried)) or 'no name'}. "
            + ("Click a name to select its scans." if rows else "A name that is added to for the first time is new.")
            if state.case
            else ""
        )
        self._told.object = (
            f"Saved at once in <code>{escape(self.file.name)}</code> beside the run. <code>workbench split "
            "--selections</code> honours it."
        )

    def _choose(self, row: int) -> None:
        state = self.state
        if 0 <= row < len(self._names):
            with state.guarded():
                name = self._names[row]
                self.called.param.update(value=name, value_input=name)
                table = saved(state.catalog, state.embed_run)
                state.select_ids(list(table.loc[table["name"] == name, "scan_id"]))

    def _export(self) -> io.BytesIO:
        nothing = "\t".join(selections.COLUMNS) + "\n"
        return io.BytesIO(self.file.read_bytes() if self.file.is_file() else nothing.encode())
