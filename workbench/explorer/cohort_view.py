"""The cohort: the scatter, and below it what belongs to the selection."""

from __future__ import annotations

from html import escape

import panel as pn

from workbench.explorer.cards import card
from workbench.explorer.scatter_view import ScatterView
from workbench.explorer.table_view import TableView
from workbench.explorer.views import StateView


class CohortView(StateView):
    """The embedding with its table."""

    def __panel__(self) -> pn.viewable.Viewable:
        state = self.state
        return pn.Column(
            card("Cohort", ScatterView(state), "1 1 0", note=self._source, on=[state.param.cohort]),
            card("Scans", TableView(state), "0 0 318px"),
            margin=0, sizing_mode="stretch_both", styles={"gap": "8px"})

    def _source(self) -> str:
        state = self.state
        if not state.embed_run:
            return ""
        with state.guarded():
            return f"encoder: {escape(state.catalog.encoder_name(state.embed_run))}"
        return ""
