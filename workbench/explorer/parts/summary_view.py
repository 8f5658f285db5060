"""The line on top, and what to do while there is nothing to look at."""

from __future__ import annotations

from html import escape

import panel as pn

from workbench.explorer.parts.state_view import SIMULATED, StateView
from workbench.explorer.parts.text import text
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored.places import without_places


class SummaryView(StateView):
    """One line on top: what is on the screen, how many, and whether it is simulated."""

    def __panel__(self) -> pn.viewable.Viewable:
        return text(pn.bind(lambda *_: summary_html(self.state), self.state.param.cohort), margin=(6, 16))


def summary_html(state: ExplorerState) -> str:
    """Counts of the cohort on the screen; every name from data is escaped."""
    cohort, parts = state.cohort, []
    if len(cohort):
        parts.append(f"{len(cohort)} scans · {cohort['participant'].nunique()} participants")
        if "site" in cohort:
            n = cohort["site"].nunique()
            parts.append(f"{n} site{'s' if n != 1 else ''}")
    if state.catalog.unfinished:
        names = ", ".join(f"{name}: {why}" for name, why in sorted(state.catalog.unfinished.items()))
        n = len(state.catalog.unfinished)
        parts.append(f'<span title="{escape(names)}">{n} run{"s" if n != 1 else ""} not finished</span>')
    badge = SIMULATED + "&ensp;" if state.simulated else ""
    return f'<span class="summary">{badge}{" · ".join(parts)}</span>'


def empty_html(state: ExplorerState) -> str:
    """What to do next, while there is no embedding to look at; empty when there is one."""
    folder, jobs = (
        escape(without_places(str(state.runs_folder), None)),
        sorted({run.job for run in state.catalog.finished.values()}),
    )
    if len(state.cohort):
        return ""
    if state.runs_folder is None or not state.runs_folder.is_dir():
        lost = f"<p>There is no folder <code>{folder}</code>.</p>" if state.runs_folder else ""
        return (
            f"<div class='empty'><h2>No runs folder</h2>{lost}<p>Start the explorer with the folder that your runs "
            "were written to:</p><pre>workbench explore RUNS_FOLDER</pre></div>"
        )
    if not state.catalog.of_job("embed"):
        found = f"It holds finished runs of: {escape(', '.join(jobs))}." if jobs else "It holds no finished run."
        waiting = "".join(
            f"<li><code>{escape(name)}</code>: {escape(why)}</li>"
            for name, why in sorted(state.catalog.unfinished.items())
        )
        return (
            f"<div class='empty'><h2>No embedding yet in <code>{folder}</code></h2><p>{found}</p>"
            f"{'<p>Not finished:</p><ul>' + waiting + '</ul>' if waiting else ''}"
            "<p>Embed the scans of a prepared store, then press “Look for runs again”:</p>"
            "<pre>workbench embed --store STORE --encoder ENCODER --out RUNS_FOLDER/embed</pre></div>"
        )
    return (
        "<div class='empty'><h2>This embedding cannot be shown</h2><p>The message on top says why. "
        "Choose another one, or run its command again.</p></div>"
    )
