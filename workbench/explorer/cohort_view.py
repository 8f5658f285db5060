"""The cohort: the scatter, and below it what belongs to the selection."""

from __future__ import annotations

from html import escape
from typing import Any

import panel as pn

from workbench.explorer.cards import card
from workbench.explorer.scatter_view import ScatterView
from workbench.explorer.selection_views import HistogramView, NeighboursView, PicturesView
from workbench.explorer.shift_view import ShiftView
from workbench.explorer.state import ExplorerState
from workbench.explorer.style import CARD
from workbench.explorer.table_view import TableView
from workbench.explorer.views import StateView

PANELS: dict[str, tuple[str, type[StateView]]] = {
    "table": ("Table", TableView), "pictures": ("Pictures", PicturesView), "histograms": ("By site", HistogramView),
    "neighbours": ("Neighbours", NeighboursView), "shift": ("Site shift", ShiftView)}


class CohortView(StateView):
    """The embedding, and what belongs to the selection: one panel at a time, each made when it is first opened."""

    def __panel__(self) -> pn.viewable.Viewable:
        state = self.state
        return pn.Column(
            card("Cohort", ScatterView(state), "1 1 0", note=self._source, on=[state.param.cohort]),
            panels(state), margin=0, sizing_mode="stretch_both", styles={"gap": "8px"})

    def _source(self) -> str:
        state = self.state
        if not state.embed_run:
            return ""
        with state.guarded():
            return f"encoder: {escape(state.catalog.encoder_name(state.embed_run))}"
        return ""


def panels(state: ExplorerState) -> pn.Column:
    """The buttons, and the open panel below them."""
    buttons: Any = pn.widgets.RadioButtonGroup(options={title: key for key, (title, _) in PANELS.items()},
                                               value=state.panel, button_style="outline", height=28, margin=(2, 10))
    buttons.link(state, value="panel", bidirectional=True)
    stack, made = pn.Column(margin=0, sizing_mode="stretch_both"), {}

    def turn(*_: Any) -> None:
        if state.panel not in made:
            made[state.panel] = pn.panel(PANELS[state.panel][1](state))
            stack.append(made[state.panel])
        for key, content in made.items():
            content.visible = key == state.panel

    turn()
    state.param.watch(turn, "panel")
    return pn.Column(buttons, stack, sizing_mode="stretch_both", margin=0, stylesheets=[CARD],
                     styles={"flex": "0 0 338px", "min-width": "0", "min-height": "0", "overflow": "hidden"})
