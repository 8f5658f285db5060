"""What if it were another scanner: stored curves at once, and a change of one's own, computed while one waits."""

from __future__ import annotations

from html import escape
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import panel as pn

from workbench.analysis.whatif.measures import MOVES
from workbench.explorer.parts.cards import card
from workbench.explorer.parts.live import Live
from workbench.explorer.parts.state_view import SIMULATED, StateView
from workbench.explorer.parts.text import hint, text
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored.places import without_places
from workbench.explorer.viewer.nifti_view import NiftiView
from workbench.explorer.whatif.change import Changed, change
from workbench.plots.change_curves import change_curves

# name, what full strength is (analysis.changes)
CHANGES = {
    "gamma": "contrast, γ 2",
    "bias": "bias field, coefficients 0.5",
    "noise": "Rician noise, 0.5 SD",
    "blur": "blur, 2 voxels",
    "thick_slices": "slices 4 × as thick",
    "ghosting": "ghost of half the amplitude",
    "rotation": "head turned by 20°",
}
UNITS = {one.column: one.axis for one in MOVES}


class WhatIfView(StateView):
    """Curves and flip points of a whatif run; sliders, and the same measures for the case computed live."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self._curves = pn.pane.HoloViews(None, sizing_mode="stretch_both", min_height=260, margin=0, linked_axes=False)
        self._flips = text(margin=(4, 10), sizing_mode="stretch_width")
        self._hint = hint()
        self.sliders = {
            name: pn.widgets.FloatSlider(
                name=f"{name.replace('_', ' ')} ({text})",
                start=0,
                end=1,
                step=0.05,
                value=0,
                margin=(2, 10),
                sizing_mode="stretch_width",
            )
            for name, text in CHANGES.items()
        }
        self.compute = pn.widgets.Button(name="Compute for this scan", button_type="primary", height=30, margin=(6, 10))
        self.compute.on_click(lambda *_: self._compute())
        self.live = Live()
        self._result = text(margin=(4, 10), sizing_mode="stretch_width")
        group = uuid4().hex
        both: dict[str, Any] = {
            "sizing_mode": "stretch_both",
            "min_height": 300,
            "margin": 0,
            "group": group,
            "linked": True,
            "layout": "axial",
        }
        self.before = NiftiView(empty="Move a slider, then compute.", **both)
        self.after = NiftiView(empty="", **both)
        state.param.watch(lambda *_: self._draw(), ["whatif_run", "whatif_measure", "cohort"])
        state.param.watch(lambda *_: self._forget(), ["case", "embed_run"])
        state.param.watch(lambda *_: self._look(), ["radiological"])
        self._draw()
        self._forget()

    def __panel__(self) -> pn.viewable.Viewable:
        p = self.state.param
        choose = pn.Row(
            pn.widgets.Select.from_param(p.whatif_run, width=140),
            pn.widgets.Select.from_param(p.whatif_measure, sizing_mode="stretch_width"),
            sizing_mode="stretch_width",
            margin=0,
        )
        stored = card(
            "Stored: the same people, the acquisition changed",
            pn.Column(
                choose, self._hint, self._curves, self._flips, sizing_mode="stretch_both", margin=0, scroll="y-auto"
            ),
            "9 1 0",
        )
        live = card(
            "Computed now",
            pn.Row(
                pn.Column(
                    *self.sliders.values(),
                    self.compute,
                    self.live,
                    self._result,
                    width=300,
                    margin=0,
                    sizing_mode="stretch_height",
                    scroll="y-auto",
                ),
                pn.Row(self.before, self.after, sizing_mode="stretch_both", margin=0, styles={"gap": "4px"}),
                sizing_mode="stretch_both",
                margin=0,
            ),
            "14 1 0",
            note=self._case,
            on=[p.case],
        )
        return pn.Row(stored, live, sizing_mode="stretch_both", margin=0, styles={"gap": "8px"})

    def _case(self) -> str:
        return escape(self.state.case) + ("&ensp;" + SIMULATED if self.state.case and self.state.simulated else "")

    # stored -----------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        state = self.state
        self._curves.object, self._flips.object = None, ""
        if not state.whatif_run:
            self._hint.object = (
                "No what-if run yet: <code>workbench whatif --store STORE --encoder ENCODER --embed "
                "EMBED --out RUNS_FOLDER/whatif</code> makes one."
            )
            return
        with state.guarded():
            catalog, run, measure = state.catalog, state.whatif_run, state.whatif_measure
            curves, table = catalog.table(run, "curves"), catalog.table(run, "whatif")
            mine = table[table["scan_id"] == state.case]
            badge = SIMULATED + "&ensp;" if catalog.run(run).simulated else ""
            if not (curves["measure"] == measure).any():
                self._hint.object = (
                    f"{badge}This run did not follow it: give <code>workbench whatif</code> a "
                    "--segment or --classify run."
                )
                return
            self._curves.object = change_curves(curves, measure, UNITS[measure], scan=mine if len(mine) else None)
            people = int(curves.loc[curves["measure"] == measure, "people"].max())
            self._hint.object = (
                f"{badge}Mean over n = {people} people with 95 % interval; "
                f"{'dashed: this scan; ' if len(mine) else ''}encoder: "
                f"{escape(catalog.encoder_name(run))}."
            )
            if "flips" in catalog.run(run).tables():
                self._flips.object = flips_html(catalog.table(run, "flips"), state.case)

    # live -------------------------------------------------------------------------------------------------------

    def _compute(self) -> None:
        state = self.state
        strengths = {name: float(slider.value or 0) for name, slider in self.sliders.items()}
        if not state.case or not state.embed_run:
            self._result.object = "There is no scan to change."
            return
        if not any(strengths.values()):
            self._result.object = "Move a slider first: at 0 nothing is changed."
            return
        catalog, run, whatif, scan = state.catalog, state.embed_run, state.whatif_run, state.case
        self._result.object = ""

        def done(found: Changed) -> None:
            self._result.object = result_html(found, strengths)
            for view, file, caption in ((self.before, found.before, "unchanged"), (self.after, found.after, "changed")):
                mark = "SIMULATED · " if state.simulated else ""
                view.param.update(
                    base=file.content,
                    caption=mark + caption,
                    window=[-3.0, 3.0],
                    looks={"base": {"title": "Intensity", "unit": "SD (−4: not brain)", "affine": list(file.affine)}},
                )

        def failed(why: str) -> None:
            told = escape(without_places(why, self.state.runs_folder))
            self._result.object = f"<div class='message'>{told}</div>" if why else "Cancelled."

        self.live.start(lambda step: change(catalog, run, whatif, scan, strengths, step), done, failed)

    def _forget(self) -> None:
        """Another scan: what was computed is not of it."""
        if self.live.busy:
            self.live.stop()
        self._result.object = ""
        for view in (self.before, self.after):
            view.param.update(base=None, looks={})
        self._look()
        self._draw()

    def _look(self) -> None:
        for view in (self.before, self.after):
            view.radiological = self.state.radiological


def result_html(found: Changed, strengths: dict[str, float]) -> str:
    """The measures of one change in words; numbers and our own names alone."""
    said = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in strengths.items() if value > 0)
    rows = "".join(
        f"<tr><td>{UNITS[name]}</td><td>{value:.3f}</td></tr>"
        for name, value in found.measures.items()
        if name in UNITS and name != "flipped" and np.isfinite(value)
    )
    flip = ""
    if found.score_before is not None and np.isfinite(found.measures["score"]):
        turned = "<b>The decision flips.</b>" if found.measures["flipped"] else "The decision stays."
        flip = f"<p>Score {found.score_before:.3f} → {found.measures['score']:.3f}. {turned}</p>"
    return f"<p class='hint'>Strength: {said}. n = 1 scan.</p>{flip}<table class='dice'><tbody>{rows}</tbody></table>"


def flips_html(flips: pd.DataFrame, case: str) -> str:
    """At which strength decisions flip: the case's own, else how many of the run's do."""
    if not len(flips):
        return ""
    mine = flips[flips["scan_id"] == case]
    lines = []
    for name, group in flips.groupby("change", sort=False):
        turned = group["flips_at"].notna()
        own = mine[mine["change"] == name]
        at = "" if not len(own) else "stays" if own["flips_at"].isna().all() else f"{own['flips_at'].iloc[0]:.2f}"
        lines.append(
            f"<tr><th>{escape(str(name)).replace('_', ' ')}</th><td>{int(turned.sum())} of {len(group)}</td>"
            f"<td>{at}</td></tr>"
        )
    head = "<th>this scan flips at</th>" if len(mine) else "<th></th>"
    return (
        f"<table class='dice'><thead><tr><th>Decision flips</th><th>scans</th>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>"
    )
