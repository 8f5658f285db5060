"""The page of the visitor's own scan: choose a file, see it, and see where the encoder would place it."""

from __future__ import annotations

from html import escape
from typing import Any

import panel as pn

from workbench import plots
from workbench.columns import PROJECTIONS
from workbench.explorer.own.own_scan import Own
from workbench.explorer.own.place import place
from workbench.explorer.own.upload import Upload
from workbench.explorer.parts.cards import card
from workbench.explorer.parts.live import Live
from workbench.explorer.parts.state_view import StateView
from workbench.explorer.parts.text import hint, text
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored.places import without_places
from workbench.explorer.viewer.nifti_view import NiftiView
from workbench.plots.placed import with_star
from workbench.predict.place import Placed


class OwnView(StateView):
    """An upload, a viewer, and the place of the scan among the embedding's."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self.view = NiftiView(sizing_mode="stretch_both", min_height=360, margin=0, empty="No scan of your own yet.")
        self.upload, self.live = Upload(self.take, sizing_mode="stretch_width", margin=(4, 10)), Live()
        self._said = text(margin=(6, 10), sizing_mode="stretch_width")
        self._pane = pn.pane.HoloViews(None, sizing_mode="stretch_both", min_height=260, margin=0, linked_axes=False)
        self._own: Own | None = None
        self._placed: Placed | None = None
        self._hint = hint()
        state.param.watch(lambda *_: self._place(), "embed_run")
        state.param.watch(lambda *_: self._draw(), ["projection", "color", "cohort"])
        state.param.watch(lambda *_: self._look(), ["radiological", "layout"])
        self._look()

    def __panel__(self) -> pn.viewable.Viewable:
        p = self.state.param
        choose = pn.Row(
            pn.widgets.Select.from_param(p.embed_run, sizing_mode="stretch_width", min_width=120),
            pn.widgets.Select.from_param(p.projection, width=95),
            pn.widgets.Select.from_param(p.color, width=150),
            sizing_mode="stretch_width",
            margin=0,
        )
        left = pn.Column(
            card(
                "A scan of your own",
                pn.Column(self.upload, self.live, self._said, sizing_mode="stretch_both", margin=0, scroll="y-auto"),
                "0 0 345px",
            ),
            card(
                "Its place in the embedding",
                pn.Column(choose, self._hint, self._pane, sizing_mode="stretch_both", margin=0),
                "1 1 0",
            ),
            margin=0,
            sizing_mode="stretch_both",
            styles={"gap": "8px", "flex": "9 1 0", "min-width": "0"},
        )
        return pn.Row(
            left, card("Your scan", self.view, "14 1 0"), sizing_mode="stretch_both", margin=0, styles={"gap": "8px"}
        )

    def take(self, own: Own) -> None:
        """Show a scan and place it; the one before is forgotten."""
        self._own = own
        self.view.param.update(
            base=own.file.content,
            caption=f"{own.name} · own scan, in no cohort",
            looks={"base": {"title": "Intensity", "affine": list(own.file.affine)}},
        )
        self._place()

    def _look(self) -> None:
        self.view.param.update(radiological=self.state.radiological, layout=self.state.layout)

    def _place(self) -> None:
        self._placed = None
        own, state = self._own, self.state
        run, catalog = state.embed_run, state.catalog
        if own is None:
            return
        self._said.object, self._pane.object, self._hint.object = "", None, ""
        if not run:
            self._said.object = "Shown. To place it there must be an embedding: <code>workbench embed</code> makes one."
            return

        def done(result: Placed) -> None:
            self._placed = result
            self._draw()

        def failed(why: str) -> None:
            self._said.object = (
                f"<div class='message'>{escape(without_places(why, state.runs_folder))}</div>"
                if why
                else "Not placed: cancelled."
            )

        self.live.start(lambda step: place(own.volume, catalog, run, step), done, failed)

    def _draw(self) -> None:
        state, found = self.state, self._placed
        if found is None or self._own is None or not len(state.cohort) or state.color not in state.cohort:
            return
        with state.guarded():
            x, y = PROJECTIONS[state.projection]
            row = found.places.iloc[0]
            points = plots.embedding_scatter(state.cohort, x, y, state.color)
            self._pane.object = with_star(points, float(row[x]), float(row[y]), self._own.name)
            self._said.object = placed_html(found, state.catalog.encoder_name(state.embed_run))
            self._hint.object = (
                f"★ your scan among n = {len(state.cohort)} scans; placed against the frozen "
                f"reference of {found.n} scans, which do not move."
            )


def placed_html(found: Placed, encoder: str) -> str:
    """What is known of the place, in words; everything from data is escaped."""
    near = "".join(
        f"<tr><td>{escape(str(r.scan_id))}</td><td>{r.distance:.2f}</td></tr>" for r in found.neighbours.itertuples()
    )
    warning = (
        "<p><b>Far from all</b>: it is farther from its nearest scan than "
        f"{found.farther:.0%} of the reference's scans are from theirs. Its place in UMAP and t-SNE says "
        "little.</p>"
        if found.farther >= 0.95
        else f"<p class='hint'>{found.farther:.0%} of the reference's scans have a nearer nearest scan.</p>"
    )
    return (
        f"<p class='hint'>Encoder: {escape(encoder)}. Brain: {escape(found.mask)}.</p>{warning}"
        "<table class='dice'><thead><tr><th>Nearest in the full space</th><th>distance</th></tr></thead>"
        f"<tbody>{near}</tbody></table>"
    )
