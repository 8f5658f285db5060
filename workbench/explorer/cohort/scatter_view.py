"""The embedding scatter."""

from __future__ import annotations

from html import escape
from typing import Any

import holoviews as hv
import pandas as pd
import panel as pn

from workbench import plots
from workbench.columns import PROJECTIONS
from workbench.explorer.parts.figures import figure_button
from workbench.explorer.parts.state_view import MARKS, StateView
from workbench.explorer.parts.summary_view import empty_html
from workbench.explorer.parts.text import hint, text
from workbench.explorer.session.state import ExplorerState

NO_EMBEDDING = (
    "<div class='empty'><h2>No embedding of these scans yet</h2><p>They can be looked at: choose one in the table. "
    "An embedding puts them on a map, by how alike an encoder finds them:</p><pre>workbench embed --store STORE "
    "--encoder ENCODER --out RUNS_FOLDER/embed</pre></div>"
)
ACTIVE = ["lasso_select", "tap", "wheel_zoom"]  # the page does not scroll: a wheel over a plot is a zoom
Case = hv.streams.Stream.define("Case", case="")


class ScatterView(StateView):
    """The embedding; a tap, a box or a lasso becomes the selection."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self._pane = pn.pane.HoloViews(sizing_mode="stretch_both", min_height=150, margin=0, linked_axes=False)
        self._empty = text(sizing_mode="stretch_width")
        self._hint = hint(min_height=34)  # two lines: the plot below must not move with the text
        state.param.watch(lambda *_: self._draw(), ["cohort", "projection", "color"])
        state.param.watch(lambda *_: self._count(), ["selection", "cohort", "projection", "address_lacks"])
        state.param.watch(self._highlight, ["selection", "case"], precedence=MARKS)
        self._ring, self._chosen = Case(), hv.streams.Counter()  # of the present plot
        self._by_plot = False  # whether the selection is being changed by the plot itself
        self._draw()
        self._count()

    def __panel__(self) -> pn.viewable.Viewable:
        p = self.state.param
        controls = pn.Row(
            pn.widgets.Select.from_param(p.embed_run, sizing_mode="stretch_width", min_width=110, margin=(5, 4, 5, 10)),
            pn.widgets.Select.from_param(p.projection, width=95, margin=(5, 4)),
            pn.widgets.Select.from_param(p.color, width=125, margin=(5, 4)),
            figure_button(self._figure, "scatter", pn.bind(bool, p.projection), width=80),
            sizing_mode="stretch_width",
            margin=0,
        )
        return pn.Column(controls, self._hint, self._empty, self._pane, sizing_mode="stretch_both", margin=0)

    def _figure(self) -> tuple[Any, str, str]:
        """For a paper, of the same table: what is on the screen stays as it is."""
        state = self.state
        x, y = PROJECTIONS[state.projection]
        chosen = list(state.selection)
        figure = plots.scatter_figure(state.cohort, x, y, state.color, selected=chosen)
        caption = (
            f"{state.projection} of the embedding {state.embed_run} of n = {len(state.cohort)} scans of "
            f"{state.cohort['participant'].nunique()} people, coloured by {state.color}. Axes have no unit."
            + (f" {len(chosen)} selected scans are drawn full." if chosen else "")
            + placed_words(self._quality_row())
            + (" Simulated data." if state.simulated else "")
        )
        code = (
            f"cohort = Catalog.scan({str(state.runs_folder)!r}).cohort({state.embed_run!r}, {state.segment_run!r})\n"
            f"figure = plots.scatter_figure(cohort, {x!r}, {y!r}, {state.color!r}, selected={chosen!r})"
        )
        return figure, caption, code

    def _draw(self) -> None:
        state, cohort = self.state, self.state.cohort
        self._empty.object = empty_html(state)
        if len(cohort) and not state.projection:
            self._empty.object = NO_EMBEDDING
        if not len(cohort) or not state.projection or not state.color or state.color not in cohort:
            self._pane.object = None
            return
        with state.guarded():
            x, y = PROJECTIONS[state.projection]
            # the ring is a layer of its own: another case must not redraw the cloud nor forget the lasso
            self._ring, self._chosen = Case(case=state.case), hv.streams.Counter()
            ring = hv.DynamicMap(
                lambda case: plots.case_ring(cohort.iloc[state.rows_in_order([case])], x, y, case), streams=[self._ring]
            )
            if self._cloudy():
                from workbench.explorer.cohort.cloud_view import (
                    cloud_plot,  # brings datashader and matplotlib: here alone
                )

                cloud = cloud_plot(state, x, y, self._chosen, self._tell)
                self._pane.object = cloud.opts(hv.opts.RGB(active_tools=ACTIVE, backend="bokeh")) * ring
            else:
                points = self._points(x, y).opts(active_tools=ACTIVE, backend="bokeh")
                self._pane.object = plots.with_ring(points, ring)

    def _cloudy(self) -> bool:
        """Whether the server draws the points: they are many, and it will be there to draw them again."""
        return self.state.served and len(self.state.cohort) > plots.MANY

    def _tell(self, rows: Any) -> None:
        self._by_plot = True
        try:
            self.state.select_rows(rows)
        finally:
            self._by_plot = False

    def _highlight(self, *events: Any) -> None:
        """Show the case, and a selection that was made elsewhere; of very many both in one drawing."""
        selected, drawn = any(event.name == "selection" for event in events), [self._ring]
        if selected and not self._cloudy() and not self._by_plot:
            self._draw()
            return
        self._ring.update(case=self.state.case)
        if selected and self._cloudy():
            self._chosen.update()
            drawn.append(self._chosen)
        hv.streams.Stream.trigger(drawn)

    def _points(self, x: str, y: str) -> hv.Points:
        state = self.state
        points = plots.embedding_scatter(state.cohort, x, y, state.color)
        if state.selection:  # from the address, or of the picture before
            points = points.opts(selected=state.selected_rows().tolist())
        hv.streams.Selection1D(source=points).add_subscriber(lambda index: self._tell(index or []))
        return points

    def _count(self) -> None:
        state = self.state
        n, chosen = len(state.cohort), len(state.selection)
        what = (
            f"<b>{chosen}</b> of n = {n} selected; click beside the points to select all again."
            if chosen
            else f"n = {n} scans."
            if not state.projection
            else f"n = {n} scans, one point each. Click a point, or draw a lasso or a box around some."
        )
        if self._cloudy():
            what += " Where points lie over each other, their colours mix by number."
        what += f" {escape(state.address_lacks)}" + self._quality()
        self._hint.object = what if n else ""

    def _quality(self) -> str:
        """How far the picture can be believed, where the embedding says so."""
        row = self._quality_row()
        return "" if row is None else quality_html(row)

    def _quality_row(self) -> pd.Series | None:
        state = self.state
        if not state.embed_run or not state.projection or "quality" not in state.catalog.run(state.embed_run).tables():
            return None
        table = state.catalog.table(state.embed_run, "quality")
        rows = table[table["picture"] == PROJECTIONS[state.projection][0].split("_")[0]]
        return rows.iloc[0] if len(rows) else None


def placed_words(row: pd.Series | None) -> str:
    """That not all scans made the picture, where that is so and known."""
    if row is None or not {"fitted", "placed"} <= set(row.index) or not row["placed"]:
        return ""
    return f" {int(row['placed']):,} scans are placed among the {int(row['fitted']):,} that the picture was fitted on."


def quality_html(row: pd.Series) -> str:
    """A row of the table ``quality``, and that not all scans made the picture, where that is so and known."""
    told = (
        "Trustworthiness: neighbours in the picture are neighbours in the full space; continuity: the other "
        "way round; 1 is perfect (Venna and Kaski 2001)"
    )
    placed = ""
    if placed_words(row):
        placed = f"; {int(row['placed']):,} scans are placed among {int(row['fitted']):,}"
        told += (
            ". Pictures are fitted on some scans, drawn by the seed (--reference_scans) or of another run; UMAP and "
            "t-SNE put any other between the five of them that are nearest to it in the full space, PCA on their axes"
        )
    return (
        f' <span title="{told}">Trustworthiness {row["trustworthiness"]:.2f}, continuity '
        f"{row['continuity']:.2f}{placed}.</span>"
    )
