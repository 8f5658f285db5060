"""What belongs to the selection and to the case: pictures, nearest neighbours, histograms by site."""

from __future__ import annotations

import functools
from html import escape
from typing import Any

import panel as pn

from workbench import plots
from workbench.explorer.cohort.gallery import MOST, Gallery, gallery_items
from workbench.explorer.parts.panel_view import PanelView
from workbench.explorer.session.state import ExplorerState


class PicturesView(PanelView):
    """Mid-slices of the selected scans."""

    panel = "pictures"
    depends = ("selection", "cohort", "case", "plane", "radiological")

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self.gallery = Gallery(state.select_case, sizing_mode="stretch_both", margin=(0, 10))
        self._from, self._of = 0, list(state.selection)
        self._shown: tuple[Any, ...] = ()
        self._buttons = [
            pn.widgets.Button(name=name, width=40, height=26, margin=(0, 3), button_style="outline")
            for name in ("‹", "›")
        ]
        for button, by in zip(self._buttons, (-MOST, MOST), strict=True):
            button.on_click(functools.partial(self._turn, by))
        self.refresh()

    def __panel__(self) -> pn.viewable.Viewable:
        plane = pn.widgets.RadioButtonGroup.from_param(
            self.state.param.plane, name="", height=26, margin=(0, 6), button_style="outline"
        )
        return pn.Column(
            pn.Row(self.hint, plane, *self._buttons, sizing_mode="stretch_width", margin=0),
            self.gallery,
            sizing_mode="stretch_both",
            margin=0,
        )

    def _turn(self, by: int, _: Any) -> None:
        self._from += by
        self.draw()

    def draw(self) -> None:
        state, rows = self.state, self.state.selected()
        if self._of != state.selection:
            self._from, self._of = 0, list(state.selection)
        self._from = max(0, min(self._from, (len(rows) - 1) // MOST * MOST)) if len(rows) else 0
        wanted = (self._from, tuple(self._of), id(state.cohort), state.plane, state.radiological)
        if wanted != self._shown:
            part = rows.iloc[self._from : self._from + MOST]
            self.gallery.items = gallery_items(state, part) if len(part) else []
            self._shown = wanted
        self.gallery.param.update(chosen=state.case, sides=sides(state))
        side = "the patient's left on the right" if state.radiological else "the patient's left on the left"
        last = min(self._from + MOST, len(rows))
        self.hint.object = (
            f"{self._from + 1}–{last} of {len(rows)} scans, middle slice"
            + (f", {side}" if state.plane != "sagittal" else "")
            if len(rows)
            else ""
        )
        for button in self._buttons:
            button.visible = len(rows) > MOST


class NeighboursView(PanelView):
    """The nearest scans of the case in the full space, which no projection can be trusted for."""

    panel = "neighbours"
    depends = ("cohort", "case", "plane", "radiological")

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self.gallery = Gallery(state.select_case, sizing_mode="stretch_both", margin=(0, 10))
        self.refresh()

    def __panel__(self) -> pn.viewable.Viewable:
        return pn.Column(self.hint, self.gallery, sizing_mode="stretch_both", margin=0)

    def draw(self) -> None:
        state = self.state
        self.gallery.param.update(items=[], sides=sides(state))
        if not state.embed_run or not state.case:
            self.hint.object = ""
            return
        if "neighbours" not in state.catalog.run(state.embed_run).tables():
            self.hint.object = (
                "This embedding was made before neighbours were kept: run <code>workbench embed "
                "--overwrite</code> with its settings."
            )
            return
        table = state.catalog.table(state.embed_run, "neighbours")
        near = table[table["scan_id"] == state.case].sort_values("rank")
        rows = state.cohort.set_index("scan_id", drop=False).reindex(near["neighbour"])
        known = rows["scan_id"].notna().to_numpy()
        near, rows = near[known], rows[known]
        same = near["same_participant"].fillna(False) if "same_participant" in near else [False] * len(near)
        notes = [
            f"{n.rank} · {s} · {n.distance:.3g}" + (" · same person" if p else "")
            for n, s, p in zip(near.itertuples(), rows.get("site", [""] * len(near)), same, strict=True)
        ]
        self.gallery.items = gallery_items(state, rows, notes)
        token = escape(str(state.catalog.run(state.embed_run).config.get("token", "cls")))
        self.hint.object = (
            f"The {len(near)} nearest of n = {len(state.cohort)} to <b>{escape(state.case)}</b> in the "
            f"full {token} space (standardised, Euclidean): rank · site · distance (no unit)."
        )


def sides(state: ExplorerState) -> list[str]:
    """The letters on the left and the right of a picture."""
    if state.plane == "sagittal":
        return ["P", "A"]
    return ["R", "L"] if state.radiological else ["L", "R"]


class HistogramView(PanelView):
    """A column by site, of the selection."""

    panel = "histograms"
    depends = ("selection", "cohort", "histogram_of")

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self.pane = pn.pane.HoloViews(sizing_mode="stretch_both", margin=0, linked_axes=False)
        self.refresh()

    def __panel__(self) -> pn.viewable.Viewable:
        chosen = pn.widgets.Select.from_param(
            self.state.param.histogram_of, name="", width=150, height=28, margin=(0, 10)
        )
        return pn.Column(
            pn.Row(self.hint, chosen, sizing_mode="stretch_width", margin=0),
            self.pane,
            sizing_mode="stretch_both",
            margin=0,
        )

    def draw(self) -> None:
        state, rows = self.state, self.state.selected()
        if not len(rows) or state.histogram_of not in rows:
            self.pane.object, self.hint.object = None, ""
            return
        self.pane.object = plots.histograms(rows, state.histogram_of, colors=state.cohort.get("site"))
        what = f"the {len(rows)} selected of n = {len(state.cohort)}" if state.selection else f"all n = {len(rows)}"
        self.hint.object = f"By site, {what} scans."
