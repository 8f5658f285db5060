"""A second embedding of the same scans, beside the first: what is selected in one is selected in the other."""

from __future__ import annotations

from html import escape
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import panel as pn

from workbench import plots
from workbench.columns import PROJECTIONS
from workbench.explorer.parts.panel_view import PanelView
from workbench.explorer.session.state import ExplorerState


class SecondView(PanelView):
    """Points of another embed run, in the colours of the page."""

    panel = "second"
    depends = ("cohort", "other_embed", "projection", "color", "selection")

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self.pane = pn.pane.HoloViews(sizing_mode="stretch_both", min_height=120, margin=0, linked_axes=False)
        self._rows = np.arange(0)  # of the cohort, for each point
        self._by_plot = False
        self.refresh()

    def __panel__(self) -> pn.viewable.Viewable:
        run = pn.widgets.Select.from_param(self.state.param.other_embed, name="", width=150, height=28, margin=(0, 10))
        return pn.Column(
            pn.Row(self.hint, run, sizing_mode="stretch_width", margin=0),
            self.pane,
            sizing_mode="stretch_both",
            margin=0,
            styles={"min-height": "0"},
        )

    def draw(self) -> None:
        state = self.state
        if self._by_plot:
            return  # the plot shows its own lasso
        self.pane.object = None
        if not state.other_embed or state.color not in state.cohort:
            self.hint.object = (
                "No second embedding among these runs: <code>workbench embed</code> with another encoder makes one."
                if len(state.cohort)
                else ""
            )
            return
        both, x, y = in_both(state)
        encoder = escape(state.catalog.encoder_name(state.other_embed))
        self.hint.object = (
            f"Encoder: {encoder}; {len(both)} of n = {len(state.cohort)} scans are in both. Axes of two embeddings "
            "have nothing in common: look at who lies beside whom."
        )
        if not len(both):
            return
        self._rows = state.rows_in_order(both["scan_id"].astype(str).tolist())
        points = plots.embedding_scatter(both, x, y, state.color)
        if state.selection:
            points = points.opts(selected=np.flatnonzero(np.isin(self._rows, state.selected_rows())).tolist())
        hv.streams.Selection1D(source=points).add_subscriber(lambda index: self._tell(index or []))
        self.pane.object = points

    def _tell(self, index: list[int]) -> None:
        self._by_plot = True
        try:
            self.state.select_rows(self._rows[[i for i in index if 0 <= i < len(self._rows)]])
        finally:
            self._by_plot = False


def in_both(state: ExplorerState) -> tuple[pd.DataFrame, str, str]:
    """The cohort's rows that the second embedding has too, with its places, and the columns of these: of the page's
    projection where it has that, else of its first."""
    other = state.catalog.cohort(state.other_embed)
    names = [state.projection, *PROJECTIONS]
    x, y = next(PROJECTIONS[name] for name in names if name in PROJECTIONS and set(PROJECTIONS[name]) <= set(other))
    own = state.cohort.drop(columns=[c for pair in PROJECTIONS.values() for c in pair if c in state.cohort])
    return own.merge(other[["scan_id", x, y]], on="scan_id", how="inner"), x, y
