"""Maps of a tokens run: where the encoder sees the same, and its tokens as colours."""

from __future__ import annotations

from html import escape
from typing import Any

from workbench.explorer.overlays.kinds import Overlay, Shown, attempt, nothing, sidecar
from workbench.explorer.stored import files


def similarity(state: Any, row: dict[str, Any], runs: Shown, on: bool) -> Overlay:
    """The stored map; a click on a voxel puts another in its place."""
    return _stored(state, str(row["scan_id"]), "similarity", on)


def colours(state: Any, row: dict[str, Any], runs: Shown, on: bool) -> Overlay:
    """Three principal axes of the tokens as red, green and blue."""
    return _stored(state, str(row["scan_id"]), "rgb", on)


def _stored(state: Any, scan_id: str, kind: str, on: bool) -> Overlay:
    """A map of a tokens run."""
    if not state.tokens_run:
        return nothing("No tokens run yet: <code>workbench tokens</code> makes one.")
    path = attempt(state, files.token_map_file, state.tokens_run, scan_id, kind)
    facts = sidecar(path)
    if kind == "rgb":
        return Overlay(
            path if on else None,
            {"title": "Tokens", "opacity": 0.6, "unit": str(facts.get("unit", ""))},
            "Like colours, like tokens; the axes are the same for every scan of the run."
            if path
            else "That run has no colours of this scan.",
            there=path is not None,
        )
    note = (
        f"Stored: like {escape(str(facts.get('query', '')))} of {escape(str(facts.get('source', '')))}." if path else ""
    )
    return Overlay(
        path if on else None,
        {"title": "Similarity", "opacity": state.attention_opacity, "unit": "cosine", "mass": state.similar},
        note,
    )
