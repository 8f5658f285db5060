"""Several fine-tuned runs on the same people; the first two are A and B."""

from __future__ import annotations

from html import escape
from typing import Any

import holoviews as hv
import pandas as pd
import panel as pn

from workbench import plots
from workbench.explorer.comparison.batch_view import BatchView
from workbench.explorer.comparison.sites_table import SitesTable, groups_of, one_switch
from workbench.explorer.overlays import KINDS
from workbench.explorer.parts.cards import card, panels
from workbench.explorer.parts.figures import figure_button
from workbench.explorer.parts.state_view import MARKS, SIMULATED, StateView
from workbench.explorer.parts.style import LIST
from workbench.explorer.parts.tables import chooser, head
from workbench.explorer.parts.text import hint, middle, text
from workbench.explorer.scan.paper import drawn
from workbench.explorer.session.scan_state import MOST_BESIDE
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored import scores
from workbench.explorer.stored.repeats import pooled

PAGE = 5  # cases that are seen at once
MOST_STRIPS = 6  # cases of a figure: the first of the table
SLICES = "For a paper: the first 6 cases under each run, as PDF, SVG and PNG, with a caption and its Python lines"
ORDERED = {"worst": "those with the worst", "difference": "those in which the first two differ most in"}


def metric_is_share(metric: str) -> bool:
    """Right or wrong of each person: a share with an interval, not dots at 0 and 1."""
    return metric.endswith(scores.RIGHT)


def _means(groups: dict[str, list[str]]) -> str:
    """What stands for several runs: never without a word."""
    some = [f"{name} is the mean of {len(runs)} runs" for name, runs in groups.items() if len(runs) > 1]
    return f" ({'; '.join(some)} of other seeds, in each person)" if some else ""


class ComparisonView(StateView):
    """Scores by site and run, paired differences, and the cases, the worst or the most different first; a click makes
    the case, and next and previous go through them in this order."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self._plot = pn.pane.HoloViews(sizing_mode="stretch_both", min_height=150, margin=0, linked_axes=False)
        self._forest = pn.pane.HoloViews(sizing_mode="stretch_width", height=150, margin=0, linked_axes=False)
        self._told = text(margin=(0, 10), sizing_mode="stretch_width")
        self._head = hint()
        self.table = chooser(selectable=1, page_size=PAGE, sizing_mode="stretch_both", min_height=110)
        self.table.on_click(self._clicked)
        self._scores = pd.DataFrame()
        self._ids: list[str] = []
        self._runs: list[str] = []  # those of the chosen ones that have scores
        self._by_site = SitesTable(state, lambda: self._scores)
        state.param.watch(lambda *_: self._draw(), ["compared", "metric", "part", "cohort"])
        state.param.watch(lambda *_: self._fill(), ["case_order"])
        state.param.watch(lambda *_: self._differ(), ["seeds_as_one"])
        state.param.watch(lambda *_: self._tell_order(), ["view"])
        state.param.watch(lambda *_: self._mark(), ["case"], precedence=MARKS)
        self._draw()

    def __panel__(self) -> pn.viewable.Viewable:
        p = self.state.param
        ways = []
        for name, told, act in (
            ("A against B", "Both outlines in one viewer, and where only one of the two is right", self._one_viewer),
            ("Side by side", "This case under all of the chosen runs, a viewer each", self._side_by_side),
        ):
            button = pn.widgets.Button(name=name, description=told, height=28, margin=(4, 4), button_style="outline")
            button.on_click(act)
            ways.append(button)
        small: dict[str, Any] = {"height": 28, "width": 72, "margin": (4, 4)}
        chosen = pn.widgets.MultiSelect.from_param(
            p.compared,
            name="Runs: A, B, …",
            size=4,
            sizing_mode="stretch_width",
            min_width=150,
            stylesheets=[LIST],
        )
        controls = pn.Row(
            chosen,
            pn.Column(
                pn.Row(
                    pn.widgets.Select.from_param(p.metric, width=205, margin=(5, 4)),
                    pn.widgets.Select.from_param(p.part, width=95, margin=(5, 4)),
                    margin=0,
                ),
                pn.Row(
                    *ways,
                    figure_button(self._figure, "scores", **small),
                    margin=0,
                ),
                margin=0,
            ),
            sizing_mode="stretch_width",
            margin=0,
        )
        below: dict[str, tuple[str, Any]] = {
            "cases": ("Cases", lambda _: self._cases()),
            "sites": ("By site", lambda _: self._by_site),
            "differences": (
                "Paired differences",
                lambda state: pn.Column(
                    one_switch(state), self._forest, self._told, scroll="y-auto", sizing_mode="stretch_both", margin=0
                ),
            ),
            "batch": ("Batch", BatchView),
        }
        return pn.Column(
            card(
                "Scores",
                pn.Column(controls, self._head, self._plot, sizing_mode="stretch_both", margin=0),
                "1 1 0",
                least=360,
            ),
            panels(self.state, "below", below, 280),
            sizing_mode="stretch_both",
            margin=0,
            styles={"gap": "8px"},
        )

    def _cases(self) -> pn.Column:
        order = pn.widgets.RadioButtonGroup.from_param(
            self.state.param.case_order, name="", height=26, margin=(2, 10), button_style="outline"
        )
        drawn = pn.bind(lambda *_: bool(self._segmented()), self.state.param.compared)
        picture = figure_button(
            self._strips, "cases", drawn, label="Slices", height=26, width=80, margin=(2, 4), told=SLICES
        )
        top = pn.Row(order, picture, margin=0, sizing_mode="stretch_width")
        return pn.Column(top, self.table, margin=0, sizing_mode="stretch_both", styles={"min-height": "0"})

    def _draw(self) -> None:
        with self.state.guarded():
            self._redraw()
            self._by_site.draw()

    def _redraw(self) -> None:
        state = self.state
        self._plot.object = self._forest.object = None
        self._told.object, self.table.value, self._ids = "", pd.DataFrame(), []
        self._scores, self._runs = pd.DataFrame(), []
        if not state.metric:
            self._head.object = (
                "No run with a score a scan yet: <code>workbench segment</code> and <code>workbench "
                "classify</code> make them; then “Look for runs again”."
                if not scores.scored_runs(state.catalog)
                else "Choose one run or more."
            )
            return
        table = scores.scores(state.catalog, state.compared, state.metric)
        if state.part != "all":
            table = table[table["split"] == state.part]
        table = table[table["value"].notna()].reset_index(drop=True)
        runs = [run for run in state.compared if (table["run"] == run).any()]
        simulated = any(state.catalog.run(run).simulated for run in runs)
        who = (
            f"people of the {state.part} part"
            if state.part != "all"
            else "all people, <b>also those that the runs were trained on</b>"
        )
        self._head.object = (
            (SIMULATED + "&ensp;" if simulated else "")
            + f"n = {table['participant'].nunique()} people, {who}; a point is a scan. Click one to "
            "see it with that run's overlays."
        )
        if not len(table):
            self._head.object = f"None of these runs has {escape(state.metric)} of people of the {state.part} part."
            return
        self._head.object += self._left_out(runs)
        self._scores, self._runs = table, runs
        if metric_is_share(state.metric):
            self._plot.object = plots.interval_plot(
                scores.shares(table, runs), name="name", label="share of people classified correctly", reference=None
            )
            self._fill()
            self._differ()
            return
        points = plots.scores_by_site(table, runs, label=state.metric)
        hv.streams.Selection1D(source=points).add_subscriber(lambda index: self._pointed(index))
        self._plot.object = points
        self._fill()
        self._differ()

    def _figure(self) -> tuple[Any, str, str]:
        state, table = self.state, self._scores
        runs, who = list(state.compared), state.part
        figure = plots.scores_figure(table, runs, state.metric)
        caption = (
            f"{state.metric} of {table['participant'].nunique()} people ({who} part), a point a scan, "
            f"a line the mean over people of a site; runs: {', '.join(runs)}."
            + (" Simulated data." if state.simulated else "")
        )
        code = (
            f"table = scores.scores(Catalog.scan({str(state.runs_folder)!r}), {runs!r}, {state.metric!r})\n"
            + ("" if who == "all" else f"table = table[table['split'] == {who!r}]\n")
            + "table = table[table['value'].notna()]\n"
            + f"figure = plots.scores_figure(table, {runs!r}, {state.metric!r})"
        )
        return figure, caption, code

    def _left_out(self, runs: list[str]) -> str:
        """Runs that were chosen and are not in the picture: none goes without a word."""
        lost = [run for run in self.state.compared if run not in runs]
        if not lost:
            return ""
        names = ", ".join(map(escape, lost))
        have = "has" if len(lost) == 1 else "have"
        return f" <b>Not shown: {names}</b>, which {have} no {escape(self.state.metric)} of these people."

    def _fill(self) -> None:
        table, runs = self._scores, self._runs
        if not len(table):
            return
        shown = scores.wide(table, runs, self.state.metric, self.state.case_order)
        self._ids = [str(i) for i in shown.pop("scan_id")]
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        short = {run: f"{letters[k % 26]}: {middle(run, 15)}" for k, run in enumerate(runs)}
        names = {f"difference {k}": f"A − {letters[k % 26]}" for k in range(1, len(runs))}
        # fixed column names: what is shown above them comes from the data, and is escaped
        columns = {run: f"run {k}" for k, run in enumerate(runs)}
        titles = {
            "participant": "Participant",
            "site": "Site",
            "split": "Part",
            **names,
            **{f"run {k}": short[run] for k, run in enumerate(runs)},
        }
        shown = shown.rename(columns=columns).round(3).astype(object)
        shown = shown[["participant", *names, *columns.values(), "site", "split"]]
        head(self.table, {c: escape(titles[c]) for c in shown.columns})
        self.table.value = shown.where(shown.notna(), None)
        self._tell_order()
        self._mark()

    def _tell_order(self) -> None:
        """Next and previous go through the cases as they stand here."""
        if self.state.view == "comparison":
            self.state.set_order(self.state.rows_in_order(self._ids) if self._ids else None)

    def _differ(self) -> None:
        if self._runs:
            with self.state.guarded():
                here = set(self._runs)
                groups = {name: [run for run in some if run in here] for name, some in groups_of(self.state).items()}
                groups = {name: some for name, some in groups.items() if some}
                self._differences(pooled(self._scores, groups), groups)

    def _differences(self, table: pd.DataFrame, groups: dict[str, list[str]]) -> None:
        runs = list(groups)
        if len(runs) < 2:
            more = " of another kind: these differ in their seed alone" if len(self._runs) > 1 else ""
            self._forest.object = None
            self._told.object = f"<p class='hint'>Choose a second run{more} to see paired differences.</p>"
            return
        parts, each = [], []
        several = len(runs) > 2
        for other in runs[1:]:
            found = scores.differences(table, runs[0], other)
            name = {r.site: (f"{other}, " if several else "") + f"{r.site} (n = {r.n})" for r in found.itertuples()}
            parts.append(found.assign(name=found["site"].map(name)))
            of_runs = scores.each_difference(table, runs[0], other)
            each.append(of_runs.assign(name=of_runs["site"].map(name))[["name", "value", "runs"]])
        all_found, small = pd.concat(parts, ignore_index=True), pd.concat(each, ignore_index=True)
        other = runs[1] if not several else "the other"
        sides = (f"{other} better", f"{runs[0]} better")
        sides = sides if scores.better(self.state.metric) > 0 else sides[::-1]
        short = tuple(middle(side, 34) for side in sides)
        forest = plots.interval_plot(
            all_found,
            name="name",
            reference=0.0,
            label="difference",
            sides=(short[0], short[1]),
            small=small if len(small) else None,
        )
        self._forest.height = 70 + 20 * len(all_found)
        self._forest.object = forest.opts(toolbar=None, backend="bokeh")
        self._told.object = (
            f"<p><b>{escape(self.state.metric)}</b>: {escape(runs[0])} minus {escape(other)}"
            f"{escape(_means(groups))}{'; small: each pair of runs' if len(small) else ''}</p>"
            "<p class='hint'>95 % bootstrap intervals over the people who have both scores, of these pretrainings only "
            "and not corrected for the number of comparisons; with fewer than 10 people they are too narrow.</p>"
        )

    def _pointed(self, index: list[int]) -> None:
        if index and index[0] < len(self._scores):
            row = self._scores.iloc[index[0]]
            self.state.select_case(str(row["scan_id"]))
            self.state.overlay_of(str(row["run"]))

    def _segmented(self) -> list[str]:
        return [run for run in self.state.compared if run in self.state.catalog.of_job("segment")]

    def _strips(self) -> tuple[Any, str, str]:
        state, ids = self.state, self._ids[:MOST_STRIPS]
        said = f"{len(ids)} of {len(self._ids)} scans ({state.part} part), {ORDERED[state.case_order]} {state.metric}"
        return drawn(state, ids, [("segmentation", run) for run in self._segmented()], said, state.plane)

    def _one_viewer(self, *_: Any) -> None:
        """What A and B gave as outlines, over the places where only one of them is right."""
        state, runs = self.state, self._segmented()
        if len(runs) < 2:
            state.message = "Choose two segmentation runs: the first is A, the next B."
            return
        state.overlay_of(runs[0])
        off = {kind.shown_by: False for kind in KINDS}
        state.param.update(
            **{**off, "show_prediction": True, "show_other": True, "show_against": True},
            other_run=runs[1],
            outline=True,
            runs_beside=[],
        )

    def _side_by_side(self, *_: Any) -> None:
        first, *others = self.state.compared or [""]
        if first:
            self.state.overlay_of(first)
            self.state.runs_beside = others[:MOST_BESIDE]

    def _clicked(self, event: Any) -> None:
        if 0 <= event.row < len(self._ids):
            self.state.select_case(self._ids[event.row])

    def _mark(self) -> None:
        here = [self._ids.index(self.state.case)] if self.state.case in self._ids else []
        if self.table.selection != here:
            self.table.selection = here
        if here and not self.table.sorters:
            self.table.page = here[0] // PAGE + 1
