"""The page of quality control: one scan after another, by key."""

from __future__ import annotations

import functools
import io
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import panel as pn
import param

from workbench.cohort import ratings
from workbench.explorer.check.outliers import measured, unusual, within_site
from workbench.explorer.cohort.gallery import MOST, Gallery, gallery_items
from workbench.explorer.cohort.selection_views import sides
from workbench.explorer.parts.cards import card
from workbench.explorer.parts.state_view import MARKS, SIMULATED, StateView, visitor
from workbench.explorer.parts.tables import chooser, head
from workbench.explorer.parts.text import hint, text
from workbench.explorer.session.state import ExplorerState

KEYS = {"1": "pass", "2": "doubtful", "3": "fail", "0": None}
SHADES = {"pass": "#2a7f4f", "doubtful": "#8f5400", "fail": "#a8071a"}
NAMES = {"snr": "SNR", "spacing": "Voxel (mm)", "brain": "Brain (ml)", "distance": "From its site"}
NOTE = (
    "Unusual: the largest |z| of a scan within its own site (median and MAD; none in a site of fewer than 4). A z "
    "tells that a scan differs, not that it is bad."
)


class CheckView(StateView):
    """Verdicts by key or button, the unusual first; saved at once beside the run."""

    note = param.String(default="", label="Note")
    rater = param.String(default="", label="Your name")
    unusual_first = param.Boolean(default=True, label="Unusual first")
    sheet = param.Boolean(default=False, label="Contact sheet")

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self.rater = visitor()
        self._ratings = pd.DataFrame(columns=list(ratings.COLUMNS))
        self._z = pd.DataFrame()
        self._order = np.arange(0)
        self._progress = text(margin=(0, 10), sizing_mode="stretch_width")
        self.table = chooser(
            selectable=1, page_size=12, sizing_mode="stretch_both", sortable=False, widths={"verdict": 72}
        )
        self.table.on_click(lambda event: self._go(event.row))
        self.gallery = Gallery(state.select_case, sizing_mode="stretch_both", margin=(0, 10), visible=False)
        self._from = 0
        state.param.watch(lambda *_: self._measure(), ["cohort", "embed_run"])
        state.param.watch(lambda *_: self._arrange(), ["view"])
        state.param.watch(lambda *_: self._mark(), ["case"], precedence=MARKS)
        state.param.watch(self._pressed, "pressed")
        self.param.watch(lambda *_: self._arrange(), ["unusual_first"])
        self.param.watch(lambda *_: self._draw_sheet(), ["sheet"])
        self._measure()

    def __panel__(self) -> pn.viewable.Viewable:
        buttons = []
        for key, verdict in KEYS.items():
            button = pn.widgets.Button(
                name=f"{(verdict or 'none').capitalize()} ({key})",
                height=32,
                width=104,
                margin=(2, 4),
                button_style="outline",
                stylesheets=[f":host .bk-btn.bk-btn.bk-btn {{ color: {SHADES[verdict]}; border-color: currentColor }}"]
                if verdict
                else [],
            )
            button.on_click(functools.partial(self._rate, verdict))
            buttons.append(button)
        following = pn.widgets.Button(name="Next without a verdict (u)", height=32, margin=(2, 4))
        following.on_click(lambda _: self.next_open())
        export = pn.widgets.FileDownload(
            callback=self._export,
            filename="ratings.tsv",
            label="TSV",
            description="All verdicts as a table",
            width=80,
            height=32,
            margin=(22, 10, 0, 0),
        )
        who = pn.widgets.TextInput.from_param(self.param.rater, width=130, margin=(2, 10))
        note = pn.widgets.TextInput.from_param(
            self.param.note, placeholder="kept with the next verdict", sizing_mode="stretch_width", margin=(2, 10)
        )
        tick = {"margin": (8, 10)}
        return card(
            "Check",
            pn.Column(
                self._progress,
                pn.Row(*buttons, margin=(0, 6)),
                pn.Row(who, note, export, sizing_mode="stretch_width", margin=0),
                pn.Row(
                    following,
                    pn.widgets.Checkbox.from_param(self.param.unusual_first, **tick),
                    pn.widgets.Checkbox.from_param(self.param.sheet, **tick),
                    margin=(0, 6),
                ),
                self.table,
                self.gallery,
                hint(NOTE),
                sizing_mode="stretch_both",
                margin=0,
            ),
            "1 1 0",
        )

    # what is known ------------------------------------------------------------------------------------------------

    @property
    def file(self) -> Any:
        """Where the verdicts on the scans of this page are kept."""
        return ratings.ratings_file(self.state.catalog.run(self.state.embed_run))

    def _measure(self) -> None:
        state = self.state
        self._table, self._z = pd.DataFrame(), pd.DataFrame()
        if len(state.cohort) and state.embed_run:
            with state.guarded():
                self._table = measured(state)
                site = state.cohort["site"] if "site" in state.cohort else pd.Series("", index=state.cohort.index)
                self._z = within_site(self._table, site)
            with state.guarded():
                self._ratings = ratings.read_ratings(self.file)
        self._arrange()

    def _arrange(self) -> None:
        """The order in which one goes through, for the keys and buttons of the whole page."""
        state, n = self.state, len(self.state.cohort)
        away = unusual(self._z).to_numpy() if len(self._z.columns) else np.zeros(n)
        rows = state.selected_rows()
        self._away = away
        self._order = rows[np.argsort(-away[rows], kind="stable")] if self.unusual_first and len(away) == n else rows
        if state.view == "check":
            state.set_order(self._order)
        self._draw()

    # verdicts -----------------------------------------------------------------------------------------------------

    def _pressed(self, event: Any) -> None:
        if self.state.view != "check":
            return
        key = event.new.split(":")[-1]
        if key in KEYS:
            self._rate(KEYS[key])
        elif key == "u":
            self.next_open()

    def _rate(self, verdict: str | None, *_: Any) -> None:
        state = self.state
        with state.guarded():
            row = state.row()
            if row is None:
                return
            self._ratings = ratings.record(
                self.file, str(row["scan_id"]), str(row["participant"]), verdict, self.note, self.rater
            )
            self.note = ""
            self._draw()
            if verdict is not None:
                state.step(1)

    def next_open(self) -> None:
        """To the next scan that nobody has given a verdict, after the one that is shown."""
        state, known = self.state, ratings.worst(self._ratings)
        ids = [str(i) for i in state.cohort["scan_id"].to_numpy(object)[self._order]]
        at = ids.index(state.case) if state.case in ids else -1
        for scan_id in [*ids[at + 1 :], *ids[: at + 1]]:
            if scan_id not in known:
                state.select_case(scan_id)
                return

    def _export(self) -> io.BytesIO:
        nothing = "\t".join(ratings.COLUMNS) + "\n"
        return io.BytesIO(self.file.read_bytes() if self.file.is_file() else nothing.encode())

    # the screen ---------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        state, known = self.state, ratings.worst(self._ratings)
        ids = state.cohort["scan_id"].astype(str).to_numpy() if len(state.cohort) else np.array([])
        rated = [known.get(scan_id, "") for scan_id in ids[self._order]] if len(ids) else []
        counts = ", ".join(f"{rated.count(v)} {v}" for v in ratings.VERDICTS if rated.count(v))
        badge = SIMULATED + "&ensp;" if state.simulated else ""
        done = sum(map(bool, rated))
        self._progress.object = (
            f"{badge}<b>{done} of {len(rated)}</b>{': ' + counts if counts else ''}. Saved in "
            f"<code>{escape(self.file.name)}</code> beside the run; <code>workbench split --exclude FILE</code> leaves "
            "the failed scans out."
            if len(ids) and state.embed_run
            else "No scans to check yet."
        )
        if not len(ids):
            self.table.value = pd.DataFrame()
            return
        part = state.cohort.iloc[self._order]
        shown = pd.DataFrame({"participant": part["participant"].astype(str), "verdict": rated})
        if "site" in part:
            shown.insert(1, "site", part["site"].fillna("unknown").astype(str))
        if len(self._away) == len(ids):
            shown["unusual"] = np.round(self._away[self._order], 1)
        for name in NAMES:
            if name in self._table and name in self._z:
                values, z = (t[name].to_numpy(float)[self._order] for t in (self._table, self._z))
                shown[name] = [_with_z(v, k) for v, k in zip(values, z, strict=True)]
        titles = {"participant": "Participant", "site": "Site", "verdict": "Verdict", "unusual": "z", **NAMES}
        head(self.table, {c: titles[c] for c in shown})
        self.table.value = shown.reset_index(drop=True)
        self._mark()
        self._draw_sheet()

    def _mark(self) -> None:
        ids = self.state.cohort["scan_id"].astype(str).to_numpy()[self._order] if len(self.state.cohort) else []
        here = np.flatnonzero(np.asarray(ids) == self.state.case)
        if len(here):
            self.table.param.update(selection=[int(here[0])], page=int(here[0]) // 12 + 1)
        self.gallery.chosen = self.state.case
        if self.sheet and len(here) and not self._from <= here[0] < self._from + MOST:
            self._draw_sheet()

    def _go(self, row: int) -> None:
        if 0 <= row < len(self._order):
            self.state.select_case(str(self.state.cohort["scan_id"].iloc[int(self._order[row])]))

    def _draw_sheet(self) -> None:
        self.gallery.visible, self.table.visible = self.sheet, not self.sheet
        if not self.sheet or not len(self.state.cohort):
            return
        state, known = self.state, ratings.worst(self._ratings)
        at = state.standing()[0] if state.view == "check" else 1
        self._from = max(0, (at - 1) // MOST * MOST)
        part = state.cohort.iloc[self._order[self._from : self._from + MOST]]
        items = gallery_items(state, part, [known.get(str(i), "no verdict") for i in part["scan_id"]])
        for item in items:
            item["color"] = SHADES.get(item["note"], "")
        self.gallery.param.update(items=items, sides=sides(state), chosen=state.case)


def _with_z(value: float, z: float) -> str:
    if not np.isfinite(value):
        return ""
    return f"{value:.4g}" + (f" (z {z:+.1f})" if np.isfinite(z) and abs(z) >= 2 else "")
