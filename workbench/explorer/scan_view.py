"""The viewer of the case and its controls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import panel as pn

from workbench.errors import WorkbenchError
from workbench.explorer import files
from workbench.explorer.nifti_view import NiftiView
from workbench.explorer.state import ExplorerState
from workbench.explorer.style import CHECKBOX, HTML
from workbench.explorer.views import StateView
from workbench.plots import label_colors


class ScanView(StateView):
    """NiiVue with the overlays of the chosen runs. A volume is sent only when another file is wanted in its slot."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self.view = NiftiView(sizing_mode="stretch_both", min_height=360, margin=0)
        self._sent: dict[str, tuple[Path, int] | None] = {}  # slot -> (path, time of change) of what the browser has
        self._affines: dict[str, tuple[float, ...]] = {}
        self._notes = {slot: pn.pane.HTML("", css_classes=["hint"], stylesheets=[HTML], margin=(0, 10, 4, 10),
                                          sizing_mode="stretch_width")
                       for slot in ("attention", "truth", "prediction")}
        state.param.watch(lambda *_: self._update(), [
            "case", "cohort", "attend_run", "head", "segment_run", "show_attention", "show_truth", "show_prediction",
            "attention_opacity", "mass", "label_opacity", "radiological", "layout"])
        self._update()

    def __panel__(self) -> pn.viewable.Viewable:
        return pn.Row(self.view, self._controls(), sizing_mode="stretch_both", margin=0)

    def _controls(self) -> pn.Column:
        p, narrow = self.state.param, {"margin": (2, 10), "sizing_mode": "stretch_width"}

        def of(name: str, kind: Any, /, **more: Any) -> pn.widgets.Widget:
            return kind.from_param(p[name], **{**narrow, **more})

        def heading(name: str) -> pn.widgets.Widget:
            return of(name, pn.widgets.Checkbox, css_classes=["overlay-heading"], stylesheets=[CHECKBOX],
                      margin=(10, 10, 2, 10))

        # sliders act when the mouse is let go: each step would recolour the whole volume
        slider = {"throttled": True, "format": "0.00"}
        return pn.Column(
            of("layout", pn.widgets.Select, name="View"),
            of("radiological", pn.widgets.Checkbox, margin=(6, 10)),
            heading("show_attention"),
            of("attend_run", pn.widgets.Select, name="Run"), of("head", pn.widgets.Select),
            of("attention_opacity", pn.widgets.FloatSlider, **slider),
            of("mass", pn.widgets.FloatSlider, name="Strongest … % of attention", throttled=True, format="0"),
            self._notes["attention"],
            heading("show_truth"), self._notes["truth"],
            heading("show_prediction"), of("segment_run", pn.widgets.Select, name="Run"), self._notes["prediction"],
            of("label_opacity", pn.widgets.FloatSlider, name="Opacity of segmentations", **slider),
            width=215, sizing_mode="stretch_height", margin=0, css_classes=["controls"], scroll="y-auto")

    def _update(self) -> None:
        state = self.state
        changes: dict[str, Any] = {"radiological": state.radiological, "layout": state.layout,
                                   "empty": "Click a point or a row of the table to see a scan."
                                   if len(state.cohort) else "No scan to show yet."}
        with state.guarded():
            row = state.row()
            looks: dict[str, dict[str, Any]] = {}
            for slot, (path, look, note) in self._wanted(row).items():
                if slot in self._notes:
                    self._notes[slot].object = note  # our own words only: nothing from data goes in here unescaped
                content = self._content(slot, path)
                if content is not _SAME:
                    changes[slot] = content
                if self._sent.get(slot):
                    looks[slot] = {**look, "affine": list(self._affines[slot])}
            changes["looks"] = looks
        self.view.param.update(**changes)

    def _content(self, slot: str, path: Path | None) -> Any:
        """Bytes to send, None to clear the slot, or _SAME where the browser has them already."""
        if path is None:
            had, self._sent[slot] = self._sent.get(slot), None
            return None if had else _SAME
        try:
            stamp = (path, path.stat().st_mtime_ns) if path.is_file() else None
            if stamp is not None and self._sent.get(slot) == stamp:
                return _SAME
            nifti = files.read_nifti(path)
        except (WorkbenchError, OSError) as error:
            self.state.message = str(error)
            self._sent[slot] = None
            return None
        self._sent[slot], self._affines[slot] = stamp, nifti.affine
        return nifti.content

    def _wanted(self, row: dict[str, Any] | None) -> dict[str, tuple[Path | None, dict[str, Any], str]]:
        """Slot → file, look, and what to tell where there is no file."""
        state = self.state
        if row is None:
            return {slot: (None, {}, "") for slot in ("base", "attention", "truth", "prediction")}
        wanted: dict[str, tuple[Path | None, dict[str, Any], str]] = {
            "base": (files.scan_file(row), {"title": "Intensity"}, "")}

        path, note = None, ""
        if not state.attend_run:
            note = "No attention run yet: <code>workbench attend</code> makes one."
        elif (path := self._try(files.attention_file, state.attend_run, state.case, state.head)) is None:
            note = "This run has no map of this scan: run <code>workbench attend</code> for it."
        elif state.embed_run and state.catalog.encoder(state.attend_run) != state.catalog.encoder(state.embed_run):
            note = "Another encoder than the scatter's."
        title = "Attention (mean of heads)" if state.head == "mean" else f"Attention (head {state.head})"
        wanted["attention"] = (path if state.show_attention else None, {
            "title": title, "opacity": state.attention_opacity, "mass": state.mass}, note)

        path = files.truth_file(row)
        wanted["truth"] = (path if state.show_truth else None, {
            "title": "True", "opacity": state.label_opacity, "labels": self._true_labels(row)},
            "" if path else "The cohort has no segmentation of this scan.")

        path, note = None, ""
        if not state.segment_run:
            note = "No segmentation run yet: <code>workbench segment</code> makes one."
        elif (path := self._try(files.prediction_file, state.segment_run, state.case)) is None:
            note = "This run did not segment this scan."
        structures = state.catalog.structures(state.segment_run)
        colors = label_colors(len(structures), "prediction")
        labels = [{"code": i + 1, "name": name.replace("_", " "), "color": colors[i]}
                  for i, name in enumerate(structures)]
        wanted["prediction"] = (path if state.show_prediction else None, {
            "title": "Predicted", "opacity": state.label_opacity, "labels": labels or None}, note)
        return wanted

    def _try(self, look_up: Any, *args: Any) -> Path | None:
        try:
            path: Path | None = look_up(self.state.catalog, *args)
        except (WorkbenchError, KeyError) as error:
            self.state.message = str(error)
            return None
        return path

    def _true_labels(self, row: dict[str, Any]) -> list[dict[str, Any]] | None:
        """The codes of the true label map to draw: the structures of the segmentation run where there is one (a
        whole-brain map would hide the scan), else all that have a name; None when no names are known."""
        state = self.state
        table = state.catalog.labels(state.embed_run) if state.embed_run else None
        if table is None or not {"code", "name"} <= set(table.columns):
            return None
        if "dataset" in table and "dataset" in row:
            table = table[table["dataset"] == row["dataset"]]
        table = table[table["code"] != 0]
        structures = state.catalog.structures(state.segment_run)
        if structures and "structure" in table and (named := table[table["structure"].isin(structures)]).shape[0]:
            colors = dict(zip(structures, label_colors(len(structures), "truth"), strict=True))
            return [{"code": int(r.code), "name": str(r.structure).replace("_", " "), "color": colors[str(r.structure)]}
                    for r in named.itertuples()]
        if not len(table) or pd.isna(table["code"]).any():
            return None
        colors_all = label_colors(len(table), "truth")
        return [{"code": int(r.code), "name": str(r.name), "color": c}
                for r, c in zip(table.itertuples(index=False), colors_all, strict=True)]


_SAME = object()
