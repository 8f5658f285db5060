"""The cohort: the scatter, and below it what belongs to the selection."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import panel as pn

from workbench.explorer.cohort.hover import HoverPicture
from workbench.explorer.cohort.notes_view import NotesView
from workbench.explorer.cohort.saved_view import SavedView
from workbench.explorer.cohort.scatter_view import ScatterView
from workbench.explorer.cohort.second_view import SecondView
from workbench.explorer.cohort.selection_views import HistogramView, NeighboursView, PicturesView
from workbench.explorer.cohort.table_view import TableView
from workbench.explorer.parts.cards import card, panels
from workbench.explorer.parts.site_finding import site_finding
from workbench.explorer.parts.state_view import StateView
from workbench.explorer.parts.style import CARD
from workbench.explorer.parts.text import text
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.sites.shift_view import ShiftView

PANELS: dict[str, tuple[str, Callable[[ExplorerState], Any]]] = {
    "table": ("Table", TableView),
    "pictures": ("Pictures", PicturesView),
    "histograms": ("By site", HistogramView),
    "neighbours": ("Neighbours", NeighboursView),
    "shift": ("Shift", ShiftView),
    "second": ("Second", SecondView),
    "saved": ("Saved", SavedView),
    "report": ("Report", NotesView),
}


class CohortView(StateView):
    """The embedding, and what belongs to the selection: one panel at a time, each made when it is first opened."""

    def __panel__(self) -> pn.viewable.Viewable:
        state = self.state
        return pn.Column(
            card("Cohort", ScatterView(state), "1 1 0", note=self._source, on=[state.param.cohort], least=380),
            self._finding(),
            panels(state, "panel", PANELS),
            HoverPicture(state),
            margin=0,
            sizing_mode="stretch_both",
            styles={"gap": "8px"},
        )

    def _finding(self) -> pn.Row:
        """The stored figure in a sentence, and the way to all of them."""
        state = self.state
        more = pn.widgets.Button(name="Sites", width=70, height=26, margin=(0, 6), button_style="outline")

        def go(*_: Any) -> None:
            state.view = "sites"

        more.on_click(go)

        def told(*_: Any) -> str:
            with state.guarded():
                return site_finding(state)
            return ""

        said = text(
            pn.bind(told, state.param.shift_run, state.param.cohort),
            css=":host { font-size: 12px; line-height: 1.35 }",
            margin=(0, 4, 0, 10),
            sizing_mode="stretch_width",
        )
        there = pn.bind(lambda *_: bool(told()), state.param.shift_run, state.param.cohort)
        return pn.Row(said, more, visible=there, sizing_mode="stretch_width", margin=0, stylesheets=[CARD])

    def _source(self) -> str:
        state = self.state
        if not state.embed_run:
            return ""
        with state.guarded():
            limits = state.catalog.encoder_limits(state.embed_run)
            name = state.catalog.encoder_name(state.embed_run)  # none of a store that nobody has embedded
            told = [*([f"encoder: {name}"] if name else []), *limits]
            return f'<span title="{escape("; ".join(told))}">{escape(" · ".join(told))}</span>'
        return ""
