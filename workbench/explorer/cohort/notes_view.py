"""What the cohort's report said: what was not used, what was guessed, what was done, and what was set aside."""

from __future__ import annotations

from html import escape
from pathlib import Path

import pandas as pd
import panel as pn

from workbench.cohort.summary import HEADINGS, counts
from workbench.explorer.parts.state_view import StateView
from workbench.explorer.parts.text import text
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored.places import without_places
from workbench.runs import Run
from workbench.runs.folder import from_there

MOST = 100  # lines of a kind
LISTS = "h4 { font-size: 13px; font-weight: 600; margin: 10px 0 4px } ul { margin: 0; padding-left: 18px }"


class NotesView(StateView):
    """The report of the cohort behind the scans on the screen."""

    def __panel__(self) -> pn.viewable.Viewable:
        return pn.Column(
            text(
                pn.bind(lambda *_: self._html(), self.state.param.cohort),
                css=LISTS,
                margin=(4, 10),
                sizing_mode="stretch_width",
            ),
            scroll="y-auto",
            margin=0,
            sizing_mode="stretch_both",
        )

    def _html(self) -> str:
        with self.state.guarded():
            return notes_html(self.state)
        return ""


def notes_html(state: ExplorerState) -> str:
    """Every remark by kind, and every file that was set aside with its cause; all of it is data, and escaped."""
    if not state.embed_run:
        return ""
    run = cohort_run(state)
    if run is None:
        return "<p class='hint'>The cohort's run folder is not where its store says: its report cannot be shown.</p>"
    parts = []
    aside = run.read_table("set_aside")
    if len(aside):
        lines = [f"{row.kind} {Path(str(row.path)).name}: {row.cause} ({row.remedy})" for row in aside.itertuples()]
        parts += _list(state, f"set aside: {counts(aside)}", lines)
    notes = run.read_table("notes") if "notes" in run.tables() else pd.DataFrame(columns=["kind", "dataset", "text"])
    for kind, heading in HEADINGS.items():
        mine = notes[notes["kind"] == kind]
        lines = [f"{row.dataset}: {row.text}" if row.dataset else str(row.text) for row in mine.itertuples()]
        parts += _list(state, heading, lines)
    if not parts:
        return "<p class='hint'>Everything in the sources was taken, and nothing had to be guessed.</p>"
    return "".join(parts)


def cohort_run(state: ExplorerState) -> Run | None:
    """The cohort that the scans on the screen come from; None where its folder is not there."""
    catalog, name = state.catalog, state.embed_run
    if catalog.config(name).get("job") == "cohort":
        return catalog.run(name)
    store = catalog.store(name)
    if not (store / "config.yaml").is_file():
        return None
    run = Run(from_there(str(Run(store).config.get("cohort", "")), store))
    return run if (run.path / "results" / "set_aside.parquet").is_file() else None


def _list(state: ExplorerState, heading: str, lines: list[str]) -> list[str]:
    if not lines:
        return []
    shown = "".join(f"<li>{escape(without_places(line, state.runs_folder))}</li>" for line in lines[:MOST])
    more = f"<p class='hint'>… and {len(lines) - MOST} more</p>" if len(lines) > MOST else ""
    return [f"<h4>{escape(heading.capitalize())}</h4><ul>{shown}</ul>{more}"]
