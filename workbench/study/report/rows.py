"""Tables and sentences of the report, as they are read: numbers in their units, intervals beside them."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd

from workbench.measures import is_shown, measure
from workbench.stats.sentence import bracketed
from workbench.study.cells.cell import GROUP
from workbench.study.evidence.intervals import clear
from workbench.study.settings.parts import LOOKS


def sentences(rows: pd.DataFrame) -> str:
    """One verdict a comparison, what it says first in bold."""
    items = []
    for row in rows.itertuples():
        better = (row.difference > 0) == (measure(row.metric).better == "higher")
        kind = ("better" if better else "worse") if clear(row) else "none"
        items.append(f"<li class={kind}><span class=place>{escape(where(row))}.</span> {_bold(row.verdict)}</li>")
    return f"<ul class=says>{''.join(items)}</ul>"


def where(row) -> str:
    """The place of a comparison in words; of a look into an encoder there are no labels to have a share of."""
    return (
        row.direction
        if _unlabelled(row.metric)
        else f"{row.direction}, {labels(row.metric, row.fraction)} of the labels"
    )


def labels(metric: str, fraction: float) -> str:
    return "" if _unlabelled(metric) else f"{100 * fraction:g} %"


def _unlabelled(metric: str) -> bool:
    return measure(metric).task in LOOKS


def without_empty(rows: pd.DataFrame, column: str = "labels") -> pd.DataFrame:
    """Without a column that says nothing in any row."""
    return rows.drop(columns=column) if column in rows and not rows[column].astype(bool).any() else rows


def _bold(verdict: str) -> str:
    for start in ("no difference shown", "nothing can be said"):
        if start in verdict:
            return escape(verdict).replace(start, f"<b>{start}</b>", 1)
    head, colon, rest = verdict.rpartition(": ")  # "simulated data: volta is higher than random: …"
    return f"<b>{escape(head)}</b>{colon}{escape(rest)}"


def arm_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """A row an arm and place, a column a measure: estimate [low, high]."""
    rows = rows[rows["metric"].map(is_shown)].copy()
    if not rows.loc[rows["metric"] == "missed", "estimate"].any():  # it is worth a column where it happens
        rows = rows[rows["metric"] != "missed"]
    rows["arm"] += np.where(rows["transductive"].astype(bool), " (transductive)", "")
    rows["told"] = [interval(r.metric, r.estimate, r.low, r.high) for r in rows.itertuples()]
    rows["fraction"] = [labels(r.metric, r.fraction) for r in rows.itertuples()]
    rows["metric"] = [
        measure(m).words + (", less is better" if measure(m).better == "lower" else "") for m in rows["metric"]
    ]
    place = [*GROUP[1:], "arm"]
    wide = rows.pivot_table("told", place, "metric", aggfunc="first", sort=False)
    wide = wide[list(dict.fromkeys(rows["metric"]))]
    counts = rows.groupby(place, sort=False)[["n", "seeds"]].max()
    alone = ["seeds"] if counts["seeds"].max() == 1 else []
    told = counts.drop(columns=alone).join(wide).reset_index().rename_axis(columns=None)
    told = told.rename(columns={"fraction": "labels", "n": "people", "seeds": "pretrainings"})
    return one_direction(without_empty(told))


def one_direction(rows: pd.DataFrame) -> pd.DataFrame:
    """Without the column ``direction`` where it says the same in every row."""
    return rows.drop(columns="direction") if rows["direction"].nunique() == 1 else rows


def interval(metric: str, estimate: float, low: float, high: float, *, signed: bool = False) -> str:
    shown = measure(metric)
    say = shown.signed if signed else shown.number
    return bracketed(estimate, low, high, say)


def short_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The verdicts as a table, where there are too many for sentences."""
    table = pd.DataFrame(
        [
            {
                "direction": r.direction,
                "labels": labels(r.metric, r.fraction),
                "comparison": f"{r.a} − {r.b}",
                "difference [95 % interval]": interval(r.metric, r.difference, r.low, r.high, signed=True),
                "people": r.n,
                "p (Holm)": _p(r.p_holm),
                "verdict": ("equivalent" if r.equivalent else "no difference shown")
                if not clear(r)
                else f"▲ {r.a} is higher"
                if r.difference > 0
                else f"▼ {r.a} is lower",
            }
            for r in rows.itertuples()
        ]
    )
    return without_empty(table)


def _effect(value: float) -> str:
    return "" if np.isnan(value) else f"{value:+.2f}".replace("-", "−")


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def difference_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """For reading: every comparison with its test and effect sizes."""
    table = pd.DataFrame(
        [
            {
                "measure": measure(r.metric).words,
                "comparison": f"{r.a} − {r.b}",
                "direction": r.direction,
                "labels": labels(r.metric, r.fraction),
                "difference": interval(r.metric, r.difference, r.low, r.high, signed=True),
                "people": r.n,
                "pretrainings": r.seeds,
                "test": r.test,
                "p": _p(r.p),
                "p (Holm)": f"{_p(r.p_holm)} (of {int(r.comparisons)})",
                "Cohen's dz": _effect(r.dz),
                "rank-biserial": _effect(r.rank_biserial),
                "detectable": "none"
                if r.detectable > measure(r.metric).most
                else measure(r.metric).number(r.detectable)
                if np.isfinite(r.detectable)
                else "",
            }
            for r in rows.itertuples()
            if is_shown(r.metric)
        ]
    )
    return without_empty(table)


def reached_rows(rows: pd.DataFrame) -> pd.DataFrame:
    def say(value: float) -> str:
        return f"{value:,.0f}" if np.isfinite(value) else "not reached"

    return pd.DataFrame(
        [
            {
                "arm": r.arm,
                "Dice at the end": f"{r.final:.3f}",
                f"steps to Dice {r.goal:.3f}": say(r.steps),
                "95 % interval": "" if np.isnan(r.steps_low) else f"{say(r.steps_low)} to {say(r.steps_high)}",
                "minutes": f"{r.minutes:.1f}" if np.isfinite(r.minutes) else "",
                "validation people": r.n,
            }
            for r in rows.itertuples()
        ]
    )
