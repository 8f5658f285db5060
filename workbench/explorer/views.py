"""The small views: summary, scatter, table, details. Each draws a part of the state and writes user actions back."""

from __future__ import annotations

from html import escape
from typing import Any

import holoviews as hv
import pandas as pd
import panel as pn

from workbench import plots
from workbench.explorer.catalog import COORDINATES, INTERNAL, PROJECTIONS, readable_columns
from workbench.explorer.state import ExplorerState
from workbench.explorer.style import HTML, TABLE

TITLES = {"participant": "Participant", "session": "Session", "site": "Site", "scanner": "Scanner", "sex": "Sex",
          "age": "Age (years)", "diagnosis": "Diagnosis", "dice_mean": "Dice (mean)", "dice_split": "Dice from"}

PAGE = 7  # rows of the table that are seen at once


class StateView(pn.viewable.Viewer):
    """A view of one session's state."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(**params)
        self.state = state


class SummaryView(StateView):
    """One line on top: what is on the screen, how many, and whether it is simulated."""

    def __panel__(self) -> pn.viewable.Viewable:
        return pn.pane.HTML(pn.bind(lambda *_: summary_html(self.state), self.state.param.cohort),
                            stylesheets=[HTML], margin=(6, 16))


class ScatterView(StateView):
    """The embedding; a tap, a box or a lasso becomes the selection."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self._pane = pn.pane.HoloViews(sizing_mode="stretch_both", min_height=300, margin=0, linked_axes=False)
        self._empty = pn.pane.HTML("", stylesheets=[HTML], sizing_mode="stretch_width")
        self._hint = _hint()
        state.param.watch(lambda *_: self._draw(), ["cohort", "projection", "color"])
        state.param.watch(lambda *_: self._count(), ["selection", "cohort"])
        self._draw()
        self._count()

    def __panel__(self) -> pn.viewable.Viewable:
        p = self.state.param
        controls = pn.Row(
            pn.widgets.Select.from_param(p.embed_run, sizing_mode="stretch_width", min_width=120),
            pn.widgets.Select.from_param(p.projection, width=95),
            pn.widgets.Select.from_param(p.color, width=150), sizing_mode="stretch_width", margin=0)
        return pn.Column(controls, self._hint, self._empty, self._pane, sizing_mode="stretch_both", margin=0)

    def _draw(self) -> None:
        state, cohort = self.state, self.state.cohort
        self._empty.object = empty_html(state)
        if not len(cohort) or not state.color or state.color not in cohort:
            self._pane.object = None
            return
        with state.guarded():
            x, y = PROJECTIONS[state.projection]
            points = plots.embedding_scatter(cohort, x, y, state.color)
            # the ring is a layer of its own: another case must not redraw the cloud nor forget the lasso
            ring = hv.DynamicMap(lambda case: plots.case_ring(cohort, x, y, case),
                                 streams=[hv.streams.Params(state, ["case"])])
            hv.streams.Selection1D(source=points).add_subscriber(lambda index: state.select_rows(index or []))
            self._pane.object = plots.with_ring(points, ring)

    def _count(self) -> None:
        n, chosen = len(self.state.cohort), len(self.state.selection)
        what = f"<b>{chosen}</b> of n = {n} selected; click beside the points to select all again" if chosen else \
            f"n = {n} scans, one point each. Click a point, or draw a lasso or a box around some."
        self._hint.object = what if n else ""


class TableView(StateView):
    """The selected scans; a click on a row makes it the case."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self.table = pn.widgets.Tabulator(
            pd.DataFrame(), disabled=True, show_index=False, selectable=1, pagination="local", page_size=PAGE,
            sizing_mode="stretch_width", height=262, layout="fit_data_fill", margin=(0, 10), theme="simple",
            stylesheets=[TABLE])
        self.table.on_click(self._clicked)
        self._hint = _hint()
        self._all = pn.widgets.Button(name="Show all", button_style="outline", width=90, margin=(0, 10))
        self._all.on_click(lambda *_: state.select_rows([]))
        state.param.watch(lambda *_: self._fill(), ["selection", "cohort"])
        state.param.watch(lambda *_: self._mark(), ["case"])
        self._fill()

    def __panel__(self) -> pn.viewable.Viewable:
        return pn.Column(pn.Row(self._hint, self._all, sizing_mode="stretch_width", margin=0), self.table,
                         sizing_mode="stretch_width", margin=0)

    def _fill(self) -> None:
        state, rows = self.state, self.state.selected()
        columns = readable_columns(state.cohort) if len(state.cohort) else []
        self._ids = [str(i) for i in rows["scan_id"]] if len(rows) else []
        shown = rows[columns].reset_index(drop=True).copy() if len(rows) else pd.DataFrame()
        for column in shown.columns:
            rounded = shown[column].round(3) if pd.api.types.is_float_dtype(shown[column]) else shown[column]
            shown[column] = rounded.astype(object).where(rounded.notna(), None)  # a missing value is an empty cell
        # titles are set as HTML in the browser: escaped here; cells are shown as text by the table itself
        self.table.titles = {c: escape(TITLES.get(c, c)) for c in columns}
        self.table.formatters = {c: {"type": "plaintext"} for c in columns}
        self.table.value = shown
        self._hint.object = (f"{len(rows)} of n = {len(state.cohort)} scans; click a row to see its scan."
                             if len(rows) else "")
        self._all.visible = bool(state.selection)
        self._mark()

    def _mark(self) -> None:
        here = [self._ids.index(self.state.case)] if self.state.case in self._ids else []
        if self.table.selection != here:
            self.table.selection = here
        if here:
            page = here[0] // PAGE + 1
            if self.table.page != page:
                self.table.page = page

    def _clicked(self, event: Any) -> None:
        if 0 <= event.row < len(self._ids):
            self.state.select_case(self._ids[event.row])


class DetailsView(StateView):
    """Who and what the case is, and its own Dice."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self._pane = pn.pane.HTML("", sizing_mode="stretch_width", margin=(0, 10), stylesheets=[HTML])
        state.param.watch(lambda *_: self._update(), ["case", "cohort"])
        self._update()

    def __panel__(self) -> pn.viewable.Viewable:
        return pn.Column(self._pane, scroll="y-auto", height=158, sizing_mode="stretch_width", margin=0)

    def _update(self) -> None:
        with self.state.guarded():
            row = self.state.row()
            self._pane.object = case_html(row, self.state.case_dice()) if row else ""


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
    folder, jobs = escape(str(state.runs_folder)), sorted({run.job for run in state.catalog.finished.values()})
    if len(state.cohort):
        return ""
    if state.runs_folder is None or not state.runs_folder.is_dir():
        lost = f"<p>There is no folder <code>{folder}</code>.</p>" if state.runs_folder else ""
        return (f"<div class='empty'><h2>No runs folder</h2>{lost}<p>Start the explorer with the folder that your runs "
                "were written to:</p><pre>workbench explore RUNS_FOLDER</pre></div>")
    if not state.catalog.of_job("embed"):
        found = f"It holds finished runs of: {escape(', '.join(jobs))}." if jobs else "It holds no finished run."
        waiting = "".join(f"<li><code>{escape(name)}</code>: {escape(why)}</li>"
                          for name, why in sorted(state.catalog.unfinished.items()))
        return (f"<div class='empty'><h2>No embedding yet in <code>{folder}</code></h2><p>{found}</p>"
                f"{'<p>Not finished:</p><ul>' + waiting + '</ul>' if waiting else ''}"
                "<p>Embed the scans of a prepared store, then press “Look for runs again”:</p>"
                "<pre>workbench embed --store STORE --encoder ENCODER --out RUNS_FOLDER/embed</pre></div>")
    return "<div class='empty'><h2>This embedding cannot be shown</h2><p>The message on top says why. " \
           "Choose another one, or run its command again.</p></div>"


def _hint() -> pn.pane.HTML:
    return pn.pane.HTML("", css_classes=["hint"], stylesheets=[HTML], margin=(0, 10), sizing_mode="stretch_width")


SIMULATED = '<span class="simulated" title="These scans were made by a computer">SIMULATED DATA</span>'


def case_html(row: dict[str, Any], dice: pd.DataFrame) -> str:
    """The details of a case as HTML; everything from data is escaped."""
    facts = [(TITLES.get(k, k), row[k]) for k in ("participant", "session", "site", "scanner", "sex", "age")
             if k in row and not _missing(row[k])]
    known = {*INTERNAL, *COORDINATES, "axcodes", "scan_id", "participant", "session", "site", "scanner", "sex", "age",
             "dice_mean", "dice_split"}
    facts += [(TITLES.get(k, k), v) for k, v in row.items() if k not in known and not _missing(v)]
    if all(k in row for k in ("x", "y", "z", "sx", "sy", "sz")):
        size = " × ".join(str(row[k]) for k in "xyz")
        facts.append(("Stored as", f"{size} voxels, {' × '.join(f'{row[k]:.3g}' for k in ('sx', 'sy', 'sz'))} mm"
                      + (f", {row['axcodes']}" if row.get("axcodes") else "")))
    facts.append(("Source", row.get("dataset", "")))
    badge = SIMULATED if row.get("simulated") is True or str(row.get("simulated")) == "True" else ""
    cells = "".join(f"<div><dt>{escape(str(k))}</dt><dd>{escape(_text(v))}</dd></div>" for k, v in facts)
    return f"<div class='case'><dl>{badge}{cells}</dl>{dice_html(dice)}</div>"


def dice_html(dice: pd.DataFrame) -> str:
    """The Dice of one scan: a row a structure, a column a run; with the part of the data the scan was in."""
    if not len(dice):
        return "<p class='hint'>No Dice: no segmentation run has both a prediction and a truth for this scan.</p>"
    runs = list(dict.fromkeys(dice["run"]))
    head, lines = "", []
    for run in runs:
        splits = ", ".join(sorted(set(dice.loc[dice["run"] == run, "split"].astype(str))))
        head += f"<th>{escape(str(run))}<br><small>{escape(splits)}</small></th>"
    for structure in dict.fromkeys(dice["structure"]):
        values = [dice.loc[(dice["run"] == r) & (dice["structure"] == structure), "dice"] for r in runs]
        cells = "".join(f"<td>{v.iloc[0]:.3f}</td>" if len(v) and pd.notna(v.iloc[0]) else "<td>–</td>"
                        for v in values)
        lines.append(f"<tr><th>{escape(str(structure).replace('_', ' '))}</th>{cells}</tr>")
    return (f"<table class='dice'><thead><tr><th>Dice of this scan</th>{head}</tr></thead>"
            f"<tbody>{''.join(lines)}</tbody></table>")


def _missing(value: Any) -> bool:
    if hasattr(value, "shape") or isinstance(value, (list, tuple, dict)):
        return True  # arrays are not facts for this card
    return value is None or value == "" or bool(pd.isna(value))


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
