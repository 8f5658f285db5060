"""The report's section of one task: sentences, numbers, figures, cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.finetune.config import SegmentConfig
from workbench.measures import main_measure, measure
from workbench.prepare.store import Store
from workbench.study.evidence.intervals import measured
from workbench.study.evidence.numbers import scored
from workbench.study.report import figures
from workbench.study.report.canvas import arm_colours
from workbench.study.report.cases import case_figures, scan_figures, worst_cases
from workbench.study.report.page import folded, paragraph, table
from workbench.study.report.pictures import FOUND, TRUTH
from workbench.study.report.rows import arm_rows, difference_rows, interval, one_direction, reached_rows, sentences
from workbench.study.settings.directions import Direction
from workbench.study.settings.parts import TaskSettings

DEFAULT = SegmentConfig.model_fields["structures"].default
OPEN = 4  # directions whose figures are shown before the rest is folded


@dataclass(frozen=True)
class TaskTables:
    """The rows of a task in each table of the study, and where its scans and cells are."""

    name: str
    task: TaskSettings
    directions: Mapping[str, Direction]
    people: pd.DataFrame
    arms: pd.DataFrame
    differences: pd.DataFrame
    times: pd.DataFrame
    reached: pd.DataFrame
    rates: pd.DataFrame
    flow: pd.DataFrame
    root: Path
    store: Store
    classes: tuple[str, ...]
    """Of a classification, the positive one of two last; else empty."""

    @property
    def metric(self) -> str | None:
        """The one that verdicts and figures are about; None where nothing has ended."""
        return main_measure(self.arms["metric"])

    @property
    def main(self) -> pd.DataFrame:
        return self.differences[self.differences["metric"] == self.metric]


def section(of: TaskTables, arms: list[str], count: int) -> Iterator[str]:
    """``arms`` are those of the study, so that colours are the same in every task; ``count`` worst cases of each."""
    yield f'<h2 id="task-{escape(of.name)}">{escape(of.name)}</h2>'
    metric = of.metric
    if metric is None:
        yield "<p>No cell of this task has ended.</p>"
        return
    shown, colours = measure(metric), arm_colours(arms)
    yield paragraph(_what(of))
    yield folded("Every verdict as a sentence", sentences(of.main))
    yield "<h3>Every arm</h3>" + table(arm_rows(of.arms), kind="numbers")
    counts = of.arms[of.arms["metric"] == metric].groupby(["direction", "fraction"])["n"].nunique()
    alike = (
        "every arm of a direction is measured on the same people"
        if counts.max() == 1
        else "not every arm of a direction is measured on the same people (see the column); paired differences are"
    )
    yield f"<p class=note>Estimate [95 % interval]; {alike}.</p>"
    if len(of.main):
        yield "<h3>Paired differences</h3>" + figures.forest(
            of.main, shown.scale, shown.words, shown.better or "higher"
        )
        yield folded(
            "Every comparison and measure: effect sizes, tests, detectable differences",
            table(difference_rows(of.differences)),
        )
    rows = of.arms[of.arms["metric"] == metric]
    if rows["fraction"].nunique() > 1:
        yield "<h3>By share of the labels</h3>" + figures.by_fraction(rows, shown.scale, shown.words, colours)
    full = rows[rows["fraction"] == rows["fraction"].max()]
    if full["direction"].nunique() > 1:
        sites = {name: (" + ".join(d.train), " + ".join(d.test)) for name, d in of.directions.items()}
        yield "<h3>From site to site</h3>" + figures.transfer(full, sites, shown.scale, shown.digits, shown.words)
    if of.classes:
        yield from _classes(of, colours)
    else:
        yield "<h3>Every person</h3>" + _people(of, metric, colours)
    if metric == "absolute_error":
        yield "<h3>Predicted against true</h3>" + figures.predicted(_truths(of), list(of.directions), colours)
    yield from _time(of, colours)
    yield from _worst(of, metric, count)
    yield from _rates(of)


def _what(of: TaskTables) -> str:
    settings = ", ".join(
        f"{k}: {', '.join(map(str, v)) if isinstance(v, list | tuple) else v}" for k, v in of.task.settings.items()
    )
    sides = of.flow[(of.flow["task"] == of.name) & (of.flow["kind"] == "side")]
    who = "; ".join(
        f"{direction}: " + ", ".join(f"{row.people} {row.what}" for row in one.itertuples())
        for direction, one in sides.groupby("direction", sort=False)
    )
    return f"{of.task.job}{f' ({settings})' if settings else ''}. People by direction: {who}."


def _folded_after(named: list[tuple[str, str]]) -> Iterator[str]:
    blocks = [f"<h3>{escape(title)}</h3>{content}" for title, content in named]
    yield from blocks[:OPEN]
    if blocks[OPEN:]:
        yield folded(f"{len(blocks) - OPEN} more", "".join(blocks[OPEN:]))


def _people(of: TaskTables, metric: str, colours: Mapping[str, str]) -> str:
    values, shown = measured(of.people), measure(metric)
    rows = values[(values["metric"] == metric) & (values["fraction"] == values["fraction"].max())]
    return (
        figures.people(rows, shown.scale, shown.words, list(of.directions), colours)
        + f"<p class=note>{'' if of.task.looks else 'With the most labels. '}"
        "A point a person, a grey line the same person under each arm, a black line the mean; where there are several "
        "pretrainings, a diamond the mean of each.</p>"
    )


def _truths(of: TaskTables) -> pd.DataFrame:
    rows = of.people[
        (of.people["fraction"] == of.people["fraction"].max()) & of.people["metric"].isin(["score", "truth"])
    ]
    return rows.pivot_table("value", ["direction", "arm", "participant"], "metric", aggfunc="mean").reset_index()


def _time(of: TaskTables, colours: Mapping[str, str]) -> Iterator[str]:
    blocks = []
    for (direction, fraction), one in of.times.groupby(["direction", "fraction"], sort=False):
        reached = of.reached[(of.reached["direction"] == direction) & (of.reached["fraction"] == fraction)]
        goal = float(reached["goal"].iloc[0]) if len(reached) else np.nan
        blocks.append(
            (
                f"Time to Dice: {direction}, {100 * float(fraction):g} % of the labels",
                figures.time_to_dice(one, colours, goal) + table(reached_rows(reached), ""),
            )
        )
    if blocks:
        yield from _folded_after(blocks)
        yield (
            "<p class=note>On the validation people, on the prepared grid; the band is a 95 % interval over them. "
            "The dashed line is 95 % of the Dice at which the reference ends.</p>"
        )


def _classes(of: TaskTables, colours: Mapping[str, str]) -> Iterator[str]:
    scores = scored(of.people)
    scores = scores[scores["fraction"] == scores["fraction"].max()]
    blocks = []
    for direction, one in scores.groupby("direction", sort=False):
        brier = of.arms[
            (of.arms["metric"] == "brier")
            & (of.arms["direction"] == direction)
            & (of.arms["fraction"] == of.arms["fraction"].max())
        ].set_index("arm")
        told = {
            str(arm): f"(Brier {interval('brier', row.estimate, row.low, row.high)})" for arm, row in brier.iterrows()
        }
        blocks.append(
            (
                f"Calibration and every person: {direction}",
                figures.calibration(one, colours, told) + figures.by_class(one, colours, of.classes),
            )
        )
    yield from _folded_after(blocks)


def _worst(of: TaskTables, metric: str, count: int) -> Iterator[str]:
    if of.task.looks:  # its pictures are those of the explorer
        return
    by = {"auroc": "brier", "correct": "brier"}.get(metric, metric)
    worst = worst_cases(of.people, of.name, by, count)
    if not len(worst):
        return
    yield f"<h3>Worst cases (of each arm the first {count})</h3>"
    said = [interval(by, value, np.nan, np.nan) for value in worst["value"]]
    shown = worst.assign(value=said).rename(columns={"value": measure(by).words})
    if of.task.job == "segment":
        yield (
            f'<p class="note key"><i style="border-color:{TRUTH}"></i>truth<i style="border-color:{FOUND}"></i>found'
            f". Above each: Dice of {escape(' / '.join(of.task.settings.get('structures', DEFAULT)))}. Left of "
            "the person is on the left. Each person is shown once, with every arm.</p>"
        )
        yield from case_figures(of.people, worst, of.name, of.root, of.store)
        yield folded("As a table", table(one_direction(shown)))
    else:
        rows = _with_truth(shown, of)
        yield table(one_direction(rows))
        said, truth = [c for c in rows if str(c).startswith("predicted")], "truth" if "truth" in rows else None
        told = [
            f"{row['arm']} ({row['direction']}): "
            + ", ".join(f"{c} {row[c]}" for c in said)
            + (f", truth {row[truth]}" if truth else "")
            for _, row in rows.iterrows()
        ]
        yield folded("Their scans", "".join(scan_figures(rows.assign(told=told), of.store)))


def _with_truth(shown: pd.DataFrame, of: TaskTables) -> pd.DataFrame:
    """Beside each of the worst people what is true and what was predicted."""
    rows = of.people[of.people["fraction"] == of.people["fraction"].max()]
    place = ["arm", "direction", "participant", "site"]
    wide = rows.pivot_table("value", place, "metric", aggfunc="mean").reset_index()
    names = {"score": "predicted", "truth": "truth"}
    if of.classes:
        wide["truth"] = [of.classes[int(code)] for code in wide["class"]]
        names["score"] = f"predicted probability of {of.classes[-1]}"
    kept = [c for c in names if c in wide]
    return shown.merge(wide[[*place, *kept]], on=place).round(3).rename(columns=names)


def _rates(of: TaskTables) -> Iterator[str]:
    """Which learning rate each arm chose, and whether a better one might lie outside the candidates."""
    offered = of.task.learning_rates
    if len(offered) < 2 or not len(of.rates):
        return
    ends = {min(offered), max(offered)}
    rates = of.rates.assign(
        told=[f"{r:g}{' *' if r in ends else ''}" for r in of.rates["learning_rate"]],
        fraction=of.rates["fraction"].map(lambda f: f"{100 * f:g} %"),
    )
    wide = rates.pivot_table("told", ["direction", "fraction", "fold"], "arm", aggfunc="first", sort=False)
    yield folded(
        "Learning rates that the arms chose",
        table(wide.reset_index().rename_axis(columns=None).rename(columns={"fraction": "labels"}))
        + "<p class=note>* at the end of the candidates: a better one may lie beyond.</p>",
    )
