"""Sites in rows, runs in columns: the mean over people, its interval, and how many people."""

from __future__ import annotations

import io
from collections.abc import Callable
from html import escape
from typing import Any

import pandas as pd
import panel as pn

from workbench.explorer.parts.spreadsheet import safe_csv
from workbench.explorer.parts.state_view import StateView
from workbench.explorer.parts.text import hint, text
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored import scores
from workbench.explorer.stored.repeats import pooled, repeats


class SitesTable(StateView):
    """Of the chosen score on screen; of every stored one in a file."""

    def __init__(self, state: ExplorerState, chosen: Callable[[], pd.DataFrame], **params: Any) -> None:
        """``chosen`` gives the scores that the page shows."""
        super().__init__(state, **params)
        self._chosen = chosen
        self._table = text(margin=(0, 10), sizing_mode="stretch_width")
        self._said = hint()
        state.param.watch(lambda *_: self.draw(), ["below", "seeds_as_one"])

    def __panel__(self) -> pn.viewable.Viewable:
        every = pn.widgets.FileDownload(
            callback=self._every,
            filename="scores-by-site.csv",
            label="Every measure (CSV)",
            description="All stored measures of these runs, by site, with intervals and n",
            button_style="outline",
            height=28,
            width=165,
            margin=(0, 10),
        )
        return pn.Column(
            pn.Row(
                one_switch(self.state),
                pn.Spacer(sizing_mode="stretch_width"),
                every,
                sizing_mode="stretch_width",
                margin=0,
            ),
            pn.Column(self._table, scroll="both", sizing_mode="stretch_both", margin=0),
            self._said,
            sizing_mode="stretch_both",
            margin=0,
        )

    def draw(self) -> None:
        """Only while it is open: a bootstrap for each cell takes its time."""
        if self.state.below == "sites":
            with self.state.guarded():
                state, table = self.state, self._chosen()
                groups = groups_of(state)
                self._table.object = sites_html(table, groups, state.metric) if len(table) else ""
                most = max(map(len, groups.values()), default=1)
                self._said.object = (
                    "95 % bootstrap intervals over people; with fewer than 10 people they are too narrow."
                )
                if most >= scores.ENOUGH:
                    self._said.object += (
                        f" Of {scores.ENOUGH} runs or more t intervals over runs and people whom all scored, with the "
                        "lowest and highest run."
                    )
                elif most > 1:
                    self._said.object += " Of two runs: of their mean; how far seeds differ is not in the interval."

    def _every(self) -> io.BytesIO:
        state = self.state
        table = scores.every_measure(state.catalog, state.compared, state.part, groups_of(state))
        table["people_of"] = state.part
        if state.simulated:
            table["simulated"] = True
        return io.BytesIO(safe_csv(table).encode())


def groups_of(state: ExplorerState) -> dict[str, list[str]]:
    """The compared runs, those of other seeds as one where that is asked for."""
    return repeats(state.catalog, state.compared) if state.seeds_as_one else {run: [run] for run in state.compared}


def one_switch(state: ExplorerState) -> pn.widgets.Checkbox:
    """Whether runs of other seeds are one; seen where there are such runs."""

    def of_use(compared: list[str]) -> bool:
        return len(repeats(state.catalog, compared)) < len(compared)

    return pn.widgets.Checkbox.from_param(
        state.param.seeds_as_one, margin=(4, 10), visible=pn.bind(of_use, state.param.compared)
    )


def sites_html(table: pd.DataFrame, groups: dict[str, list[str]], metric: str) -> str:
    """One score as a table, a column a group of runs; names from data are escaped."""
    found = scores.by_site(pooled(table, groups), list(groups), metric)
    runs = [run for run in groups if (found["run"] == run).any()]
    cells = {(r.site, r.run): r for r in found.itertuples()}
    head = "".join(f"<th>{escape(run)}{_counted(groups[run])}</th>" for run in runs)
    lines = []
    for site in dict.fromkeys(found["site"]):
        line = "".join(f"<td style='white-space:nowrap'>{_cell(cells.get((site, run)))}</td>" for run in runs)
        lines.append(f"<tr><th>{escape(site)}</th>{line}</tr>")
    return (
        f"<table class='dice'><thead><tr><th>{escape(metric)}</th>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def _counted(members: list[str]) -> str:
    if len(members) == 1:
        return ""
    return f"<br><small title='{escape(', '.join(members), quote=True)}'>{len(members)} runs, other seeds</small>"


def _cell(row: Any) -> str:
    if row is None:
        return "–"
    interval = f" [{row.low:.3f}, {row.high:.3f}]" if pd.notna(row.low) and pd.notna(row.high) else ""
    spread = f"<br><small>{row.runs} runs: {row.lowest:.3f} to {row.highest:.3f}</small>" if row.runs > 1 else ""
    return f"{row.value:.3f}{interval} <small>n = {row.n}</small>{spread}"
