"""What is known of the chosen scan."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd
import panel as pn

from workbench import columns
from workbench.columns import column
from workbench.explorer.parts.state_view import MARKS, SIMULATED, StateView
from workbench.explorer.parts.text import text
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored.saved import tags


class DetailsView(StateView):
    """Who and what the case is, and its own Dice."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self._pane = text(margin=(0, 10), sizing_mode="stretch_width")
        state.param.watch(lambda *_: self._update(), ["case", "cohort"], precedence=MARKS)
        self._update()

    def __panel__(self) -> pn.viewable.Viewable:
        return pn.Column(self._pane, scroll="y-auto", height=158, sizing_mode="stretch_width", margin=0)

    def _update(self) -> None:
        with self.state.guarded():
            state = self.state
            row = state.row()
            names = tags(state.catalog, state.embed_run, state.case) if row and state.embed_run else []
            self._pane.object = case_html(row, state.case_dice(), names) if row else ""


def case_html(row: dict[str, Any], dice: pd.DataFrame, names: Sequence[str] = ()) -> str:
    """The details of a case as HTML, with the names that it carries; everything from data is escaped."""
    facts = [
        (column(k).heading, columns.text(k, row[k]))
        for k in columns.shown(row)
        if k not in ("axcodes", "dice_mean", "dice_split") and not _missing(row[k])
    ]
    if all(k in row for k in ("x", "y", "z", "sx", "sy", "sz")):
        size = " × ".join(str(row[k]) for k in "xyz")
        facts.append(
            (
                "Stored as",
                f"{size} voxels, {' × '.join(f'{row[k]:.3g}' for k in ('sx', 'sy', 'sz'))} mm"
                + (f", {row['axcodes']}" if row.get("axcodes") else ""),
            )
        )
    facts.append(("Source", row.get("dataset", "")))
    if names:
        facts.append(("Saved as", ", ".join(names)))
    badge = SIMULATED if row.get("simulated") is True or str(row.get("simulated")) == "True" else ""
    cells = "".join(f"<div><dt>{escape(str(k))}</dt><dd>{escape(str(v))}</dd></div>" for k, v in facts)
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
        cells = "".join(f"<td>{v.iloc[0]:.3f}</td>" if len(v) and pd.notna(v.iloc[0]) else "<td>–</td>" for v in values)
        lines.append(f"<tr><th>{escape(str(structure).replace('_', ' '))}</th>{cells}</tr>")
    return (
        f"<table class='dice'><thead><tr><th>Dice of this scan</th>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def _missing(value: Any) -> bool:
    if hasattr(value, "shape") or isinstance(value, (list, tuple, dict)):
        return True  # arrays are not facts for this card
    return value is None or value == "" or bool(pd.isna(value))
