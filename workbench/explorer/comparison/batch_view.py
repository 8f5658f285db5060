"""The table of a batch, as `workbench batch` collected it."""

from __future__ import annotations

from html import escape
from typing import Any

import panel as pn

from workbench.explorer.parts.state_view import SIMULATED, StateView
from workbench.explorer.parts.tables import chooser, head
from workbench.explorer.parts.text import hint
from workbench.explorer.session.state import ExplorerState


class BatchView(StateView):
    """One row a run of the batch: parameters, state, minutes, what was recorded."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self._hint = hint()
        self.table = chooser(page_size=5, height=215, sizing_mode="stretch_width")
        state.param.watch(lambda *_: self._fill(), "batch_run")
        self._fill()

    def __panel__(self) -> pn.viewable.Viewable:
        chosen = pn.widgets.Select.from_param(self.state.param.batch_run, name="", width=180, height=28, margin=(0, 10))
        return pn.Column(
            pn.Row(self._hint, chosen, sizing_mode="stretch_width", margin=0),
            self.table,
            sizing_mode="stretch_width",
            margin=0,
        )

    def _fill(self) -> None:
        state = self.state
        if not state.batch_run:
            self._hint.object = (
                "No batch among these runs: <code>workbench batch</code> makes one, and its table is shown here."
            )
            return
        with state.guarded():
            table = state.catalog.table(state.batch_run, "runs")
            shown = table.rename(columns={c: f"column {i}" for i, c in enumerate(table.columns)}).astype(object)
            head(self.table, {f"column {i}": escape(str(c)) for i, c in enumerate(table.columns)})
            self.table.value = shown.where(shown.notna(), None)
            simulated = "simulated" in table and bool(table["simulated"].fillna(False).any())
            counts = table["state"].value_counts() if "state" in table else {}
            self._hint.object = (
                (SIMULATED + "&ensp;" if simulated else "")
                + f"n = {len(table)} runs: "
                + escape(", ".join(f"{n} {s}" for s, n in counts.items()))
            )
