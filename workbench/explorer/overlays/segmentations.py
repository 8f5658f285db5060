"""True and predicted segmentations, and where the two differ."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.errors import WorkbenchError
from workbench.explorer.overlays.error_map import CLASSES, read_errors
from workbench.explorer.overlays.kinds import Made, Overlay, Shown, attempt, nothing
from workbench.explorer.stored import files
from workbench.explorer.stored.places import without_places
from workbench.plots import label_colors


def truth(state: Any, row: dict[str, Any], runs: Shown, on: bool) -> Overlay:
    """As the cohort has it."""
    path = files.truth_file(row)
    return Overlay(
        path if on else None,
        {"opacity": state.label_opacity, "title": "True", "labels": true_labels(state, row, runs) if on else None},
        "" if path else "The cohort has no segmentation of this scan.",
        there=path is not None,
    )


def prediction(state: Any, row: dict[str, Any], runs: Shown, on: bool) -> Overlay:
    """As the run gave it."""
    path = predicted(state, runs.segment_run, str(row["scan_id"]))
    labels = structure_labels(state, runs.segment_run, "prediction")
    beside = runs.other_run and (state.show_other or state.show_against)
    return Overlay(
        path if on else None,
        {
            "opacity": state.label_opacity,
            "title": f"A: {runs.segment_run}" if beside else "Predicted",
            "labels": labels or None,
        },
        "" if path else no_prediction(runs),
        there=path is not None,
    )


def error(state: Any, row: dict[str, Any], runs: Shown, on: bool) -> Overlay:
    """The two compared voxel by voxel."""
    truth, found = files.truth_file(row), predicted(state, runs.segment_run, str(row["scan_id"]))
    structures = state.catalog.structures(runs.segment_run)
    return _error(state, row, truth, found, structures, on)


def predicted(state: Any, run: str | None, scan_id: str) -> Path | None:
    """The label map that a run gave of a scan, or None."""
    return attempt(state, files.prediction_file, run, scan_id) if run else None


def structure_labels(state: Any, run: str | None, source: str) -> list[dict[str, Any]]:
    """The codes of a run's label maps with their names and the colours of ``source``."""
    structures = state.catalog.structures(run)
    colors = label_colors(len(structures), source)
    return [{"code": i + 1, "name": name.replace("_", " "), "color": colors[i]} for i, name in enumerate(structures)]


def no_prediction(runs: Shown) -> str:
    return (
        "This run did not segment this scan."
        if runs.segment_run
        else "No segmentation run yet: <code>workbench segment</code> makes one."
    )


def _error(
    state: Any, row: dict[str, Any], truth: Path | None, predicted: Path | None, structures: list[str], on: bool
) -> Overlay:
    codes = true_codes(state, row, structures)
    if truth is None or predicted is None or not any(codes):
        return nothing("Needs a true and a predicted segmentation of the same structures.")
    if not on:
        return Overlay()
    try:
        stamps = (truth, truth.stat().st_mtime_ns, predicted, predicted.stat().st_mtime_ns)
        errors = read_errors(truth, predicted, codes)
    except (WorkbenchError, OSError) as problem:
        return Overlay(note=escape(without_places(str(problem), state.catalog.root)))
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


def true_codes(state: Any, row: dict[str, Any], structures: list[str]) -> list[list[int]]:
    """Codes of the true label map for each structure; an empty list where the cohort's table has none."""
    table = _label_table(state, row)
    if table is None or "structure" not in table:
        return [[] for _ in structures]
    return [[int(c) for c in table.loc[table["structure"] == s, "code"]] for s in structures]


def true_labels(state: Any, row: dict[str, Any], runs: Shown) -> list[dict[str, Any]] | None:
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


def _label_table(state: Any, row: dict[str, Any]) -> pd.DataFrame | None:
    table = state.catalog.labels(state.embed_run) if state.embed_run else None
    if table is None or not {"code", "name"} <= set(table.columns):
        return None
    if "dataset" in table and "dataset" in row:
        table = table[table["dataset"] == row["dataset"]]
    return table[table["code"] != 0]
