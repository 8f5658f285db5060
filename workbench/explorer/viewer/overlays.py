"""What lies over a scan: for each slot of the viewer a file or something made here, how it looks, and what to say."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.errors import WorkbenchError
from workbench.explorer.session.scan_state import RANDOM
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored import files
from workbench.explorer.stored.files import NiftiFile
from workbench.explorer.viewer.error_map import CLASSES, read_errors
from workbench.plots import label_colors

SLOTS = ("base", "rgb", "attention", "beside", "similarity", "truth", "prediction", "error")


@dataclass(frozen=True)
class Made:
    """Content that is no file of a run: made when it is asked for, and the same as long as its key is the same."""

    key: Hashable
    make: Callable[[], NiftiFile]


@dataclass(frozen=True)
class Overlay:
    source: Path | Made | None = None
    look: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    """Escaped HTML that tells what is shown, or why nothing is."""


@dataclass(frozen=True)
class Shown:
    """The runs whose overlays are meant."""

    attend_run: str | None
    segment_run: str | None


def chosen(state: ExplorerState) -> Shown:
    """Those that the page's selectors name."""
    return Shown(state.attend_run, state.segment_run)


def overlays(state: ExplorerState, row: dict[str, Any], runs: Shown | None = None) -> dict[str, Overlay]:
    """All slots for one scan of the cohort; a slot that is switched off has no source.

    Args:
        state: Which overlays are on, and how they look.
        row: Of the scan.
        runs: In place of the runs that the state names.
    """
    runs = runs or chosen(state)
    scan_id = str(row["scan_id"])
    both = {"opacity": state.label_opacity}
    truth, predicted = files.truth_file(row), _prediction(state, runs, scan_id)
    out = {
        "base": Overlay(files.scan_file(row), {"title": "Intensity"}),
        "rgb": _stored(state, scan_id, "rgb", state.show_colours),
        "attention": _attention(state, runs, scan_id),
        "beside": _beside(state, runs, scan_id),
        "similarity": _stored(state, scan_id, "similarity", state.show_similarity),
    }
    out["truth"] = Overlay(
        truth if state.show_truth else None,
        {**both, "title": "True", "labels": true_labels(state, row, runs)},
        "" if truth else "The cohort has no segmentation of this scan.",
    )
    structures = state.catalog.structures(runs.segment_run)
    colors = label_colors(len(structures), "prediction")
    labels = [{"code": i + 1, "name": name.replace("_", " "), "color": colors[i]} for i, name in enumerate(structures)]
    out["prediction"] = Overlay(
        predicted if state.show_prediction and predicted else None,
        {**both, "title": "Predicted", "labels": labels or None},
        "" if predicted else _no_prediction(runs),
    )
    out["error"] = _error(state, row, truth, predicted, structures)
    return out


def _attention(state: ExplorerState, runs: Shown, scan_id: str) -> Overlay:
    path, note = None, ""
    if not runs.attend_run:
        note = "No attention run yet: <code>workbench attend</code> makes one."
    elif (path := _try(state, files.attention_file, runs.attend_run, scan_id, state.head)) is None:
        note = "This run has no map of this scan: run <code>workbench attend</code> for it."
    elif state.embed_run and state.catalog.encoder(runs.attend_run) != state.catalog.encoder(state.embed_run):
        note = "Another encoder than the scatter's."
    title = "Attention (mean of heads)" if state.head == "mean" else f"Attention (head {state.head})"
    facts = sidecar(path)
    if "block" in facts:
        title += (
            f", rollout of {escape(str(facts.get('query', 'CLS')))}"
            if facts["block"] == "rollout"
            else f", block {facts['block']}"
        )
    return Overlay(
        path if state.show_attention else None,
        {"title": title, "opacity": state.attention_opacity, "mass": state.mass, "unit": str(facts.get("unit", ""))},
        note,
    )


def _beside(state: ExplorerState, runs: Shown, scan_id: str) -> Overlay:
    """The map that attention must be held against: of random weights, or of another run."""
    if not runs.attend_run:
        return Overlay()
    if state.beside == RANDOM:
        path, title = _try(state, files.random_attention_file, runs.attend_run, scan_id), "Random weights"
        note = (
            ""
            if path
            else "This run has no map of random weights of this scan: <code>workbench attend --sanity "
            "true</code> makes one."
        )
    else:
        path = _try(state, files.attention_file, state.beside, scan_id, "mean")
        title, note = str(state.beside), "" if path else "That run has no map of this scan."
    return Overlay(
        path if state.show_beside else None,
        {
            "title": title,
            "opacity": state.attention_opacity,
            "mass": state.mass,
            "unit": str(sidecar(path).get("unit", "")),
        },
        note,
    )


def _stored(state: ExplorerState, scan_id: str, kind: str, on: bool) -> Overlay:
    """A map of a tokens run."""
    if not state.tokens_run:
        return Overlay(note="No tokens run yet: <code>workbench tokens</code> makes one.")
    path = _try(state, files.token_map_file, state.tokens_run, scan_id, kind)
    facts = sidecar(path)
    if kind == "rgb":
        return Overlay(
            path if on else None,
            {"title": "Tokens", "opacity": 0.6, "unit": str(facts.get("unit", ""))},
            "Like colours, like tokens; the axes are the same for every scan of the run."
            if path
            else "That run has no colours of this scan.",
        )
    note = (
        f"Stored: like {escape(str(facts.get('query', '')))} of {escape(str(facts.get('source', '')))}." if path else ""
    )
    return Overlay(
        path if on else None,
        {"title": "Similarity", "opacity": state.attention_opacity, "unit": "cosine", "mass": state.similar},
        note,
    )


def _prediction(state: ExplorerState, runs: Shown, scan_id: str) -> Path | None:
    return _try(state, files.prediction_file, runs.segment_run, scan_id) if runs.segment_run else None


def _no_prediction(runs: Shown) -> str:
    return (
        "This run did not segment this scan."
        if runs.segment_run
        else "No segmentation run yet: <code>workbench segment</code> makes one."
    )


def _error(
    state: ExplorerState, row: dict[str, Any], truth: Path | None, predicted: Path | None, structures: list[str]
) -> Overlay:
    codes = true_codes(state, row, structures)
    if truth is None or predicted is None or not any(codes):
        return Overlay(note="Needs a true and a predicted segmentation of the same structures.")
    if not state.show_error:
        return Overlay()
    try:
        stamps = (truth, truth.stat().st_mtime_ns, predicted, predicted.stat().st_mtime_ns)
        errors = read_errors(truth, predicted, codes)
    except (WorkbenchError, OSError) as error:
        return Overlay(note=escape(str(error)))
    note = "; ".join(f"{name} {ml:.2f} ml" for (name, _), ml in zip(CLASSES, errors.ml, strict=True)) + "."
    labels = [
        {"code": i + 1, "name": name, "extra": f"{errors.ml[i]:.2f} ml", "color": list(color)}
        for i, (name, color) in enumerate(CLASSES)
    ]
    return Overlay(
        Made((*stamps, tuple(map(tuple, codes))), lambda: files.nifti_bytes(errors.volume)),
        {"title": "Errors", "opacity": state.label_opacity, "labels": labels},
        note,
    )


def true_codes(state: ExplorerState, row: dict[str, Any], structures: list[str]) -> list[list[int]]:
    """Codes of the true label map for each structure; an empty list where the cohort's table has none."""
    table = _label_table(state, row)
    if table is None or "structure" not in table:
        return [[] for _ in structures]
    return [[int(c) for c in table.loc[table["structure"] == s, "code"]] for s in structures]


def true_labels(state: ExplorerState, row: dict[str, Any], runs: Shown) -> list[dict[str, Any]] | None:
    """The codes of the true label map to draw: the structures of the segmentation run where there is one (a
    whole-brain map would hide the scan), else all that have a name; None when no names are known."""
    table = _label_table(state, row)
    if table is None:
        return None
    # a run without a segmentation takes the page's: side by side, one structure has one colour
    structures = state.catalog.structures(runs.segment_run or state.segment_run)
    if structures and "structure" in table and (named := table[table["structure"].isin(structures)]).shape[0]:
        colors = dict(zip(structures, label_colors(len(structures), "truth"), strict=True))
        return [
            {"code": int(r.code), "name": str(r.structure).replace("_", " "), "color": colors[str(r.structure)]}
            for r in named.itertuples()
        ]
    if not len(table) or pd.isna(table["code"]).any():
        return None
    colors_all = label_colors(len(table), "truth")
    return [
        {"code": int(r.code), "name": str(r.name), "color": c}
        for r, c in zip(table.itertuples(index=False), colors_all, strict=True)
    ]


def _label_table(state: ExplorerState, row: dict[str, Any]) -> pd.DataFrame | None:
    table = state.catalog.labels(state.embed_run) if state.embed_run else None
    if table is None or not {"code", "name"} <= set(table.columns):
        return None
    if "dataset" in table and "dataset" in row:
        table = table[table["dataset"] == row["dataset"]]
    return table[table["code"] != 0]


def sidecar(path: Path | None) -> dict[str, Any]:
    """The facts that a job wrote beside a map; empty where there are none."""
    if path is None:
        return {}
    beside = path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".json")
    try:
        facts = json.loads(beside.read_text()) if beside.is_file() and beside.stat().st_size < 1e6 else {}
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _try(state: ExplorerState, look_up: Any, *args: Any) -> Path | None:
    try:
        path: Path | None = look_up(state.catalog, *args)
    except (WorkbenchError, KeyError) as error:
        state.message = str(error)
        return None
    return path
