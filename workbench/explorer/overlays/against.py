"""A second segmentation run, and the two held against the truth."""

from __future__ import annotations

from html import escape
from typing import Any

from workbench.errors import WorkbenchError
from workbench.explorer.overlays.error_map import AGAINST, against_map
from workbench.explorer.overlays.kinds import Made, Overlay, Shown, nothing
from workbench.explorer.overlays.segmentations import predicted, structure_labels, true_codes
from workbench.explorer.stored import files
from workbench.explorer.stored.places import without_places
from workbench.volumes import read_volume

NO_OTHER = "No second segmentation run: <code>workbench segment</code> makes one."


def other(state: Any, row: dict[str, Any], runs: Shown, on: bool) -> Overlay:
    """As the second run gave it."""
    if not runs.other_run:
        return nothing(NO_OTHER)
    path = predicted(state, runs.other_run, str(row["scan_id"]))
    look = {
        "opacity": state.label_opacity,
        "title": f"B: {runs.other_run}",
        "labels": structure_labels(state, runs.other_run, "other") or None,
    }
    note = "" if path else f"{escape(runs.other_run)} did not segment this scan."
    return Overlay(path if on else None, look, note, there=path is not None)


def against(state: Any, row: dict[str, Any], runs: Shown, on: bool) -> Overlay:
    """Where one of the two is right and the other is not."""
    if not runs.other_run or not runs.segment_run:
        return nothing(NO_OTHER)
    truth, scan_id = files.truth_file(row), str(row["scan_id"])
    first, second = (predicted(state, run, scan_id) for run in (runs.segment_run, runs.other_run))
    codes = _shared(state, row, runs)
    if truth is None or first is None or second is None or not codes:
        return nothing("Needs a true segmentation, and one of each run, of the same structures.")
    if not on:
        return Overlay()
    paths = (truth, first, second)
    try:
        stamps = tuple((path, path.stat().st_mtime_ns) for path in paths)
        maps = [read_volume(path, labels=True) for path in paths]
        found = against_map(maps[0], maps[1], maps[2], codes)
    except (WorkbenchError, OSError) as problem:
        return Overlay(note=escape(without_places(str(problem), state.catalog.root)))
    a, b = escape(runs.segment_run), escape(runs.other_run)
    told = "; ".join(f"{name} {ml:.2f} ml" for (name, _), ml in zip(AGAINST, found.ml, strict=True))
    labels = [
        {"code": i + 1, "name": name, "extra": f"{found.ml[i]:.2f} ml", "color": list(color)}
        for i, (name, color) in enumerate(AGAINST)
    ]
    return Overlay(
        Made((*stamps, tuple(map(repr, codes))), lambda: files.nifti_bytes(found.volume)),
        {"title": "A against B", "opacity": state.label_opacity, "labels": labels},
        f"A is {a}, B is {b}: {told}.",
    )


def _shared(state: Any, row: dict[str, Any], runs: Shown) -> list[tuple[list[int], int, int]]:
    """Of each structure that both runs and the truth know: its codes in the truth, in A and in B."""
    first, second = (state.catalog.structures(run) for run in (runs.segment_run, runs.other_run))
    true = dict(zip(first, true_codes(state, row, first), strict=True))
    return [(true[s], first.index(s) + 1, second.index(s) + 1) for s in first if s in second and true[s]]
