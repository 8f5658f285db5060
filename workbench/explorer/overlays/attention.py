"""Attention maps, and the maps that they must be held against."""

from __future__ import annotations

from html import escape
from typing import Any

from workbench.explorer.overlays.kinds import Overlay, Shown, attempt, nothing, sidecar
from workbench.explorer.stored import files

RANDOM = "random weights"
NO_RUN = "No attention run yet: <code>workbench attend</code> makes one."
LACKS = "The scatter's encoder has no attention that can be shown: <code>workbench tokens</code> shows its tokens."


def attention(state: Any, row: dict[str, Any], runs: Shown, on: bool) -> Overlay:
    """Of the run's encoder, of one head or the mean of all."""
    catalog, scan_id = state.catalog, str(row["scan_id"])
    without = state.embed_run and not catalog.has_attention(state.embed_run)
    if not runs.attend_run:
        return nothing(LACKS if without else NO_RUN)
    note, whose = "", ""
    if (path := attempt(state, files.attention_file, runs.attend_run, scan_id, state.head)) is None:
        note = "This run has no map of this scan: run <code>workbench attend</code> for it."
    elif state.embed_run and catalog.encoder(runs.attend_run) != catalog.encoder(state.embed_run):
        name = catalog.encoder_name(runs.attend_run)
        whose = f" of {name}"
        note = f"Of {escape(name)}, another encoder than the scatter's. {LACKS if without else ''}"
    title = f"Attention{whose} ({'mean of heads' if state.head == 'mean' else f'head {state.head}'})"
    facts = sidecar(path)
    if "block" in facts:
        query = str(facts.get("query", "CLS"))
        if query == "CLS":
            query = catalog.pooling(runs.attend_run)
        title += f", rollout of {query}" if facts["block"] == "rollout" else f", block {facts['block']}"
    return Overlay(
        path if on else None,
        {"title": title, "opacity": state.attention_opacity, "mass": state.mass, "unit": str(facts.get("unit", ""))},
        note,
        there=path is not None,
    )


def beside(state: Any, row: dict[str, Any], runs: Shown, on: bool) -> Overlay:
    """The map that attention must be held against: of random weights, or of another run."""
    scan_id = str(row["scan_id"])
    if not runs.attend_run:
        return nothing(NO_RUN)
    if state.beside == RANDOM:
        path, title = attempt(state, files.random_attention_file, runs.attend_run, scan_id), "Random weights"
        note = (
            ""
            if path
            else "This run has no map of random weights of this scan: <code>workbench attend --sanity "
            "true</code> makes one."
        )
    else:
        path = attempt(state, files.attention_file, state.beside, scan_id, "mean")
        title, note = str(state.beside), "" if path else "That run has no map of this scan."
    return Overlay(
        path if on else None,
        {
            "title": title,
            "opacity": state.attention_opacity,
            "mass": state.mass,
            "unit": str(sidecar(path).get("unit", "")),
        },
        note,
        there=path is not None,
    )
