"""The page of groups: mean attention or a difference on the mean brain, and what may be said of it."""

from __future__ import annotations

from html import escape
from typing import Any

import panel as pn

from workbench.explorer.group import maps
from workbench.explorer.parts.cards import card
from workbench.explorer.parts.state_view import SIMULATED, StateView
from workbench.explorer.parts.text import hint, text
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.viewer.nifti_view import NiftiView

CHOICE = ("group_run", "group_by", "group_a", "group_b", "group_weights", "group_found")
LIMITS = (
    "The intervals and the colours of a map are of each place by itself; p is corrected over all places. Tokens are "
    "larger than these voxels: a place is no finer than they are. What random weights show too was not learnt. "
    "Attention is where the query takes its information from, and no explanation of a decision."
)


class GroupView(StateView):
    """Maps and figures of `workbench group`; nothing is computed here, and nothing is of a selection by hand."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self.view = NiftiView(sizing_mode="stretch_both", min_height=300, margin=0, empty="")
        self._told = text(margin=(4, 10), sizing_mode="stretch_width")
        self._tables = text(margin=(0, 10), sizing_mode="stretch_width")
        self._hint = hint()
        self._sent: Any = None
        self._left = self._brain()
        state.param.watch(lambda *_: self._draw(), list(CHOICE))
        state.param.watch(lambda *_: self._draw(), ["view"])
        state.param.watch(lambda *_: self._turn(), ["radiological", "group_layout"])
        self._turn()
        self._draw()

    def _brain(self) -> pn.Column:
        p = self.state.param
        wide: dict[str, Any] = {"sizing_mode": "stretch_width", "min_width": 110, "margin": (2, 6)}
        rows = [
            pn.Row(
                *[pn.widgets.Select.from_param(p[name], **wide) for name in names],
                sizing_mode="stretch_width",
                margin=0,
            )
            for names in (CHOICE[:4], (*CHOICE[4:], "group_layout"))
        ]
        left = pn.Column(*rows, self._hint, self.view, sizing_mode="stretch_both", margin=0)
        return card("On the mean brain", left, "13 1 0")

    def __panel__(self) -> pn.viewable.Viewable:
        right = pn.Column(self._told, self._tables, sizing_mode="stretch_both", scroll="y-auto", margin=0)
        return pn.Row(
            self._left,
            card("What is found", right, "10 1 0"),
            sizing_mode="stretch_both",
            margin=0,
            styles={"gap": "8px"},
        )

    def chosen(self) -> maps.Chosen | None:
        values = [getattr(self.state, name) for name in CHOICE]
        return maps.Chosen(*values) if all(v is not None for v in values) else None

    def _turn(self) -> None:
        self.view.param.update(radiological=self.state.radiological, layout=self.state.group_layout)

    def _draw(self) -> None:
        state, chosen = self.state, self.chosen()
        if state.view != "group":
            return  # drawn when it is seen
        self._left.visible = chosen is not None  # empty choices over a black field tell nobody anything
        if chosen is None:
            self._sent = None
            self.view.param.update(base=None, attention=None, beside=None, looks={})
            self._told.object, self._tables.object, self._hint.object = next_html(state), "", ""
            return
        stamp = (chosen, state.catalog.run(chosen.run).path.stat().st_mtime_ns)
        if stamp == self._sent:
            return
        self._sent = stamp
        with state.guarded():
            catalog, run = state.catalog, state.catalog.run(chosen.run)
            mark = SIMULATED + "&ensp;" if run.simulated else ""
            self._told.object = mark + maps.finding_html(catalog, chosen)
            notes = "".join(f"<li>{escape(str(n))}</li>" for n in catalog.table(chosen.run, "notes")["note"])
            self._tables.object = (
                maps.places_html(catalog, chosen)
                + maps.shares_html(catalog, chosen)
                + (f"<h2>Notes of the run</h2><ul>{notes}</ul>" if notes else "")
                + f"<p class='hint'>{LIMITS}</p>"
            )
            made = maps.picture(catalog, chosen)
            frame = catalog.config(chosen.run).get("frame", "box")
            where = "mm of the mean box, 0 in its middle" if frame == "box" else "mm of the template"
            self._hint.object = f"{escape(made.note)} Coordinates: {where}.".strip()
            title = f"{chosen.a} − {chosen.b}" if chosen.b else chosen.a
            self.view.param.update(
                **{slot: made.volumes[slot].content if slot in made.volumes else None for slot in maps.SLOTS},
                looks=made.looks,
                frame=maps.box(catalog, chosen.run),
                window=[-2.5, 2.0],
                scan=f"{title} ({chosen.by}), {chosen.weights}",
                caption=("SIMULATED · " if run.simulated else "") + title,
            )


def next_html(state: ExplorerState) -> str:
    """The one next command while there is no group run."""
    if not state.catalog.of_job("attend"):
        return (
            "<p>No attention maps yet, of which groups could be averaged. They are made by</p><p><code>workbench "
            "attend --store STORE --encoder ENCODER --out RUNS_FOLDER/attend</code></p><p>then press “Look for runs "
            "again”.</p>"
        )
    return (
        "<p>No groups yet. Mean attention of each site, in one frame, and where sites differ, is made by</p><p><code>"
        "workbench group --attend RUNS_FOLDER/attend --by site --out RUNS_FOLDER/group</code></p><p>then press “Look "
        "for runs again”. <code>--by</code> takes any column that makes groups: site, sex, diagnosis.</p>"
    )
