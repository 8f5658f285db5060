"""How far apart the sites are, as `workbench shift` measured it."""

from __future__ import annotations

from html import escape
from typing import Any

import pandas as pd
import panel as pn

from workbench import plots
from workbench.explorer.parts.panel_view import PanelView
from workbench.explorer.parts.state_view import SIMULATED
from workbench.explorer.parts.text import text
from workbench.explorer.session.state import ExplorerState


class ShiftView(PanelView):
    """Stored figures only: a statistic of a lasso would be a figure that somebody searched for."""

    panel = "shift"
    depends = ("cohort", "shift_run")

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self.pane = pn.pane.HoloViews(sizing_mode="stretch_both", margin=0, linked_axes=False, min_width=230)
        self.table = text(sizing_mode="stretch_both", margin=(0, 10))
        self.refresh()

    def __panel__(self) -> pn.viewable.Viewable:
        run = pn.widgets.Select.from_param(self.state.param.shift_run, name="", width=150, height=28, margin=(0, 10))
        return pn.Column(
            pn.Row(self.hint, run, sizing_mode="stretch_width", margin=0),
            pn.Column(self.pane, self.table, sizing_mode="stretch_both", scroll="y-auto", margin=0),
            sizing_mode="stretch_both",
            margin=0,
        )

    def draw(self) -> None:
        state = self.state
        self.pane.object, self.table.object = None, ""
        self.pane.height, self.pane.visible = None, False
        if not state.shift_run:
            self.hint.object = (
                "No site shift of this embedding yet: <code>workbench shift --embed EMBED --out "
                "RUNS/shift</code>, then “Look for runs again”."
                if state.embed_run
                else ""
            )
            return
        shift, mixing = (state.catalog.table(state.shift_run, name) for name in ("shift", "mixing"))
        self.pane.visible = True
        self.pane.object = site_predicted(shift)
        notes = state.catalog.table(state.shift_run, "notes")["note"]
        self.table.object = shift_html(shift, mixing, [str(n) for n in notes])
        badge = SIMULATED + "&ensp;" if state.catalog.run(state.shift_run).simulated else ""
        self.hint.object = f"{badge}Source: run <b>{escape(state.shift_run)}</b>; the unit is a person; bars are 95 %."


def site_predicted(shift: pd.DataFrame) -> Any:
    """How well the site can be named from the embedding, by what was removed from it; the line is chance."""
    rows = shift[shift["measure"].str.startswith("site predicted")]
    rows = rows.assign(name=[f"{r.space} (n = {r.people})" for r in rows.itertuples()])
    chance = float(rows["chance"].iloc[0]) if len(rows) else None
    plot = plots.interval_plot(
        rows, name="name", reference=chance, label="site named from the embedding (balanced accuracy)"
    )
    return plot.opts(responsive=False, height=110 + 22 * len(rows), width=480, xlim=(0, 1.02), backend="bokeh")


def shift_html(shift: pd.DataFrame, mixing: pd.DataFrame, notes: list[str]) -> str:
    """Every figure with interval, chance, p and n; text from data is escaped."""

    def cell(value: Any, digits: int = 3) -> str:
        return "–" if pd.isna(value) else f"{value:.{digits}f}"

    def interval(row: Any) -> str:
        return "–" if pd.isna(row.low) else f"{row.low:.3f} to {row.high:.3f}"

    def p(value: Any) -> str:
        return "–" if pd.isna(value) else "&lt; 0.001" if value < 0.001 else f"{value:.3f}"

    lines = "".join(
        f"<tr><td>{escape(str(r.space))}</td><td>{escape(str(r.measure))}</td><td>{cell(r.value)}</td>"
        f"<td>{interval(r)}</td><td>{cell(r.chance)}</td><td>{p(r.p)}</td><td>{r.people}</td></tr>"
        for r in shift.itertuples()
    )
    mixed = "".join(
        f"<tr><td>{escape(str(r.space))}</td><td>{escape(str(r.site))}</td><td>{cell(r.same_site)}</td>"
        f"<td>{interval(r)}</td><td>{cell(r.if_mixed)}</td><td>–</td><td>{r.people}</td></tr>"
        for r in mixing.itertuples()
    )
    head = "<th>95 % interval</th><th>if mixed</th><th>p</th><th>people</th></tr></thead>"
    return (
        f"<table class='dice'><thead><tr><th>Space</th><th>Measure</th><th>Value</th>{head}{lines}</table>"
        f"<br><table class='dice'><thead><tr><th>Space</th><th>Site</th><th>Neighbours of the same site</th>{head}"
        f"{mixed}</table>" + "".join(f"<p class='hint'>{escape(n)}</p>" for n in notes)
    )
