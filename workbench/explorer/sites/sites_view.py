"""The page of the sites: the finding in a sentence, all stored figures, and what the words mean."""

from __future__ import annotations

from typing import Any

import panel as pn

from workbench.explorer.parts.cards import card
from workbench.explorer.parts.site_finding import site_finding
from workbench.explorer.parts.state_view import SIMULATED, StateView
from workbench.explorer.parts.text import text
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.sites.shift_view import shift_html, site_predicted

TERMS = {
    "Site named from the embedding": "a classifier is asked, of people it has not seen, which site a scan is from. "
    "At chance the embedding says nothing of the site; the nearer to 100 %, the more of the scanner is in it.",
    "Balanced accuracy": "the mean over sites of the share of their people that are named rightly, so that no site "
    "decides alone.",
    "After ComBat": "the same after site differences in mean and spread were taken out of it (Johnson 2007).",
    "Without age and sex": "the same after what age and sex explain was taken out: sites may differ in whom they scan, "
    "and not in how.",
    "Neighbours of the same site": "the share of a scan's nearest scans that are of its own site; “if mixed” is that "
    "share if sites were mixed at random.",
    "MMD² and energy distance": "how far apart the embeddings of two sites lie as whole clouds, the mean over pairs of "
    "sites; 0 where the clouds are alike. p is from shuffling the sites among people.",
    "Silhouette of sites": "from −1 to 1: how much nearer a scan lies to its own site than to the next one; 0 where "
    "sites are mixed.",
    "Interval": "95 %, over people: what other people of the same sites might have given. It knows nothing of another "
    "pretraining.",
}


class SitesView(StateView):
    """Figures of `workbench shift` of the chosen embedding; of nothing that was selected by hand."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self._told = text(margin=(6, 10), sizing_mode="stretch_width")
        self._plot = pn.pane.HoloViews(margin=(0, 10), linked_axes=False)
        self._table = text(margin=(0, 10), sizing_mode="stretch_width")
        state.param.watch(lambda *_: self._draw(), ["shift_run", "cohort"])
        self._draw()

    def __panel__(self) -> pn.viewable.Viewable:
        terms = "".join(f"<p><b>{name}</b>: {told}</p>" for name, told in TERMS.items())
        run = pn.widgets.Select.from_param(self.state.param.shift_run, width=220, margin=(4, 10))
        left = pn.Column(
            self._told, run, self._plot, self._table, sizing_mode="stretch_both", scroll="y-auto", margin=0
        )
        return pn.Row(
            card("How far apart are the sites?", left, "2 1 0"),
            card(
                "What the words mean",
                pn.Column(
                    text(terms, margin=(0, 10), sizing_mode="stretch_width"),
                    scroll="y-auto",
                    sizing_mode="stretch_both",
                    margin=0,
                ),
                "1 1 0",
            ),
            sizing_mode="stretch_both",
            margin=0,
            styles={"gap": "8px"},
        )

    def _draw(self) -> None:
        state = self.state
        self._plot.object, self._table.object = None, ""
        if not state.shift_run:
            self._told.object = (
                "<p>No site shift of this embedding yet. It is made by</p><p><code>workbench shift --embed EMBED --out "
                "RUNS_FOLDER/shift</code></p><p>then press “Look for runs again”.</p>"
            )
            return
        with state.guarded():
            shift, mixing, notes = (state.catalog.table(state.shift_run, t) for t in ("shift", "mixing", "notes"))
            badge = SIMULATED + "&ensp;" if state.catalog.run(state.shift_run).simulated else ""
            self._told.object = f"<p style='font-size:15px'>{badge}{site_finding(state)}</p>"
            self._plot.object = site_predicted(shift)
            self._table.object = shift_html(shift, mixing, [str(n) for n in notes["note"]])
