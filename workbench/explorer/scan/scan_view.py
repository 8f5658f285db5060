"""The viewers of the case and of the scans beside it."""

from __future__ import annotations

import contextlib
import functools
import uuid
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import panel as pn
import param

from workbench.errors import WorkbenchError
from workbench.explorer import overlays as layers
from workbench.explorer.overlays import Made, Overlay
from workbench.explorer.parts.live import Live, open_encoder, turn_of
from workbench.explorer.parts.state_view import SCAN, StateView
from workbench.explorer.parts.style import HIDDEN_LABEL
from workbench.explorer.scan.chips import Chips
from workbench.explorer.scan.details_view import DetailsView
from workbench.explorer.scan.scan_controls import controls, notes
from workbench.explorer.scan.similarity import Similar, similar_to
from workbench.explorer.session.scan_state import MOST_BESIDE, ScanState
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored import files
from workbench.explorer.viewer.brain_box import brain_box
from workbench.explorer.viewer.legend import Legend
from workbench.explorer.viewer.pane import Pane


class ScanView(StateView):
    """NiiVue with the overlays of the chosen runs; beside it up to three further scans, or the same under other runs,
    with their crosshairs linked."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self._group = uuid.uuid4().hex  # of this session: other pages in the same browser are not moved
        self._panes = [Pane(state, group=self._group)]
        self.view = self._panes[0].view
        self.notes, self.live = notes(), Live()
        self._similar: tuple[Any, dict[str, Similar]] | None = None  # for which case and encoder, and what was found
        self._row = pn.Row(self.view, sizing_mode="stretch_both", margin=0, styles={"gap": "4px", "min-width": "0"})
        self.chips = Chips(state, sizing_mode="stretch_width", margin=(0, 10))
        self._legend = Legend(group=self._group, sizing_mode="stretch_width", margin=(0, 4), visible=False)
        self._side = pn.Column(margin=0, sizing_mode="stretch_height", visible=False)
        self._sides: dict[str, Any] = {}  # made when they are first opened: they are half of the page's parts
        self.view.param.watch(self._windowed, "window")
        self.view.param.watch(self._changed, "drawn_by")
        self.view.param.watch(self._picked, "picked")
        self.view.param.watch(self._read_ahead, "shown")
        state.param.watch(self._changed, ["case", "cohort", *_LOOKS], precedence=SCAN)
        state.param.watch(self._only_errors, "show_error")
        state.param.watch(self._only_against, "show_against")
        state.param.watch(lambda *_: self._open_side(), "side")
        self._open_side()
        self._update()

    @property
    def viewers(self) -> pn.Column:
        """Without their controls."""
        return pn.Column(self._row, self._legend, sizing_mode="stretch_both", margin=0)

    def __panel__(self) -> pn.viewable.Viewable:
        p = self.state.param
        view = pn.widgets.Select.from_param(p.layout, width=118, height=28, margin=(0, 4), stylesheets=[HIDDEN_LABEL])
        sides = [
            pn.widgets.Button(name=title, height=28, width=78, margin=(0, 3), button_style="outline", description=told)
            for title, told in (
                ("Settings", "How overlays look, scans and runs beside"),
                ("Facts", "What is known of it"),
            )
        ]
        for button, key in zip(sides, ("settings", "facts"), strict=True):
            button.on_click(functools.partial(self._turn_side, key))
        top = pn.Row(self.chips, view, *sides, sizing_mode="stretch_width", margin=0, min_height=34)
        middle = pn.Row(self._row, self._side, sizing_mode="stretch_both", margin=0, styles={"min-height": "0"})
        return pn.Column(top, middle, self._legend, sizing_mode="stretch_both", margin=0, styles={"min-height": "0"})

    def _turn_side(self, key: str, *_: Any) -> None:
        self.state.side = "none" if self.state.side == key else key

    def _open_side(self) -> None:
        key = self.state.side
        if key == "settings" and key not in self._sides:
            self._sides[key] = controls(
                self.state, self.notes, self.live, pn.bind("gpu".__ne__, self.view.param.drawn_by)
            )
        elif key == "facts" and key not in self._sides:
            self._sides[key] = pn.Column(DetailsView(self.state), width=330, sizing_mode="stretch_height", margin=0)
        self._side[:] = [self._sides[key]] if key in self._sides else []
        self._side.visible = key in self._sides

    def _update(self) -> None:
        state = self.state
        with state.guarded():
            if self._similar is not None and self._similar[0] != self._asked():
                self._similar = None
            more = self._beside() if state.case else []
            self._make_panes(1 + len(more))
            runs = any(run for _, run in more)
            self._legend.visible = bool(more)
            self._show(self._panes[0], state.case, _names(layers.chosen(state)) if runs else "", alone=not more)
            for pane, (scan_id, run) in zip(self._panes[1:], more, strict=True):
                self._show(pane, scan_id, run, alone=False)

    def _beside(self) -> list[tuple[str, str]]:
        """What stands beside the case: itself under other runs, and other scans; with the run, or without."""
        state = self.state
        scans = [i for i in dict.fromkeys(state.scans_beside) if i != state.case]
        return [*((state.case, run) for run in state.runs_beside), *((i, "") for i in scans)][:MOST_BESIDE]

    def _read_ahead(self, *_: Any) -> None:
        """Once the scan is on screen with its overlays: before that, the browser needs the processor."""
        state, pane = self.state, self._panes[0]
        if not (state.served and pane.coarse and state.case and pane.view.shown == pane.view.ticket):
            return
        case, scan_id = state.case, state.neighbour(1)
        try:
            wanted = layers.files_of(state, files.case_row(state.cohort, scan_id))
        except WorkbenchError:
            return  # told when that scan is really asked for
        turn = turn_of(pn.state.curdoc)

        def send() -> None:
            if state.case == case != scan_id:
                with contextlib.suppress(WorkbenchError, OSError):
                    pane.send_ahead(wanted)

        files.prepare_coarse(
            [one.source for one in wanted.values() if isinstance(one.source, Path)], lambda: turn(send)
        )

    def _make_panes(self, n: int) -> None:
        if n == len(self._panes):
            return
        while len(self._panes) < n:
            pane = Pane(self.state, group=self._group)
            pane.view.param.watch(self._changed, "drawn_by")
            self._panes.append(pane)
        del self._panes[n:]
        self._row[:] = [pane.view for pane in self._panes]

    def _show(self, pane: Pane, scan_id: str, run: str = "", *, alone: bool) -> None:
        state, main = self.state, pane is self._panes[0]
        wanted: dict[str, Overlay] = {}
        caption, box, frame = "", None, None
        # the last scan must not stay on the screen under the name of another: an unknown one clears the pane
        try:
            if scan_id:
                row = files.case_row(state.cohort, scan_id)
                other = layers.Shown(**state.catalog.shown_of(run)) if run and not main else None
                wanted = layers.overlays(state, row, other)
                frame = brain_box(row)
                box = frame if state.linked_by == "box" else None
                simulated = str(row.get("simulated")) == "True"
                caption = " · ".join(filter(None, ["" if alone else scan_id, run, "SIMULATED" if simulated else ""]))
                self._add_similar(wanted, scan_id)
                if main:
                    for slot, note in self.notes.items():
                        note.object = wanted[slot].note if slot in wanted else ""
                    self.chips.tell(wanted)
        finally:
            pane.show(
                wanted,
                radiological=state.radiological,
                layout=state.layout,
                outline=state.outline,
                window=state.window(),
                caption=caption,
                scan=scan_id,
                linked=state.linked and not alone,
                box=_flat(box),
                frame=_flat(frame),
                whole=state.whole,
                legend=alone,
                flicker=_pair(state),
                pick=main and state.show_similarity,
                empty="Click a point or a row of the table to see a scan."
                if len(state.cohort)
                else "No scan to show yet.",
            )

    def _changed(self, *_: Any) -> None:
        self._update()

    def _only_errors(self, event: Any) -> None:
        if event.new:  # three fills over each other are read by nobody
            self.state.param.update(show_truth=False, show_prediction=False, show_against=False)

    def _only_against(self, event: Any) -> None:
        if event.new:  # what both runs gave, as outlines over it
            self.state.param.update(show_truth=False, show_error=False, outline=True)

    # the window, by the mouse ---------------------------------------------------------------------------------

    def _windowed(self, event: Any) -> None:
        if len(event.new) == 2 and list(event.new) != self.state.window():
            low, high = (float(f"{v:.5g}") for v in event.new)
            self.state.param.update(window_low=low, window_high=high)

    # where else does the encoder see this? ---------------------------------------------------------------------

    def _asked(self) -> tuple[str, Any]:
        return self.state.case, self.state.embed_run

    def _picked(self, event: Any) -> None:
        self._look_for(event.new)

    def _look_for(self, mm: list[float]) -> None:
        state = self.state
        if not state.show_similarity or len(mm) != 3 or not state.case or not state.embed_run:
            return
        asked, scan, place = self._asked(), state.case, (float(mm[0]), float(mm[1]), float(mm[2]))
        catalog, run = state.catalog, state.embed_run

        targets = [scan, *(i for i in state.scans_beside if i != scan)][: 1 + MOST_BESIDE]

        def work(step: Any) -> dict[str, Similar]:
            step(0.1, "Loading the encoder …")
            store, encoder, _ = open_encoder(catalog, run)
            found = {}
            for i, target in enumerate(targets):
                step(0.4 + 0.6 * i / len(targets), "Encoding the scan …" if i == 0 else f"Encoding {escape(target)} …")
                found[target] = similar_to(store, encoder, scan, place, target)
            return found

        def done(found: dict[str, Similar]) -> None:
            self._similar = (asked, found)
            self._update()

        def failed(why: str) -> None:
            state.message = why

        self.live.start(work, done, failed)

    def _add_similar(self, wanted: dict[str, Overlay], scan_id: str) -> None:
        state, stored = self.state, wanted["similarity"]
        if not state.show_similarity:
            return
        if self._similar is None:
            wanted["similarity"] = replace(
                stored, note="Click a voxel: where else does the encoder see this? " + stored.note
            )
            return
        found = self._similar[1].get(scan_id)
        if found is None:
            wanted["similarity"] = Overlay(note="Click again: this scan was not searched yet.")
            return
        places = [f"{x:+.0f}, {y:+.0f}, {z:+.0f} mm" for x, y, z in (found.mm, found.best_mm)]
        encoder = escape(state.catalog.encoder_name(state.embed_run))
        note = (
            f"Like the token at {places[0]} ({encoder}). Most alike beyond its neighbours: {places[1]}, cosine "
            f"{found.best:.2f}. Scans beside this one are searched for the same token."
        )
        look = {
            "title": "Similarity" if found.own else "Similarity to the first scan's place",
            "unit": "cosine",
            "opacity": state.attention_opacity,
            "range": found.range(state.similar),
        }
        wanted["similarity"] = Overlay(Made((scan_id, *self._similar[0], found.mm), lambda: found.file), look, note)


def _flat(matrix: Any) -> list[float]:
    return [] if matrix is None else [float(v) for v in matrix.ravel()]


def _names(shown: layers.Shown) -> str:
    return ", ".join(dict.fromkeys(filter(None, (shown.segment_run, shown.attend_run))))


def _pair(state: ExplorerState) -> list[str]:
    """What flickers: attention and what it is held against, else two predictions, else truth and prediction."""
    if not state.flicker:
        return []
    if state.show_attention and state.show_beside:
        return ["attention", "beside"]
    if state.show_prediction and state.show_other:
        return ["prediction", "other"]
    return ["truth", "prediction"] if state.show_truth and state.show_prediction else []


_LOOKS = [name for name in ScanState.param if name != "name" and isinstance(ScanState.param[name], param.Parameter)]
