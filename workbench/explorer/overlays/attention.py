"""Attention maps, and the maps that they must be held against."""

from __future__ import annotations

from html import escape
from typing import Any

from workbench.explorer.overlays.kinds import Overlay, Shown, attempt, nothing, sidecar
from workbench.explorer.stored import files

RANDOM = "random weights"
NO_RUN = "No attention run yet: <code>workbench attend</code> makes one."


def attention(state: Any, row: dict[str, Any], runs: Shown, on: bool) -> Overlay:
    """Of the run's encoder, of one head or the mean of all."""
    scan_id = str(row["scan_id"])
    if not runs.attend_run:
        return nothing(NO_RUN)
    note = ""
    if (path := attempt(state, files.attention_file, runs.attend_run, scan_id, state.head)) is None:
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
