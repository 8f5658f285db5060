"""The measures: one table of what is computed of a prediction, in which words it is told, and which way is better.

Tables of runs, the study with its report and methods paragraph, what a job says at its end, notebooks and the explorer
read it; none of them has a list of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from workbench.measures.looks import LOOKS
from workbench.measures.measure import Measure
from workbench.measures.predictions import PEOPLE, SENSITIVITY, classes_of, sensitivity
from workbench.measures.structures import STRUCTURES

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MEASURES", "PRIMARY", "Measure", "is_shown", "main_measure", "main_rows", "measure", "measures_in"]

MEASURES: dict[str, Measure] = {one.name: one for one in (*STRUCTURES, *PEOPLE, *LOOKS)}
PRIMARY = (
    "dice",
    "auroc",
    "absolute_error",
    "correct",
    "token_hit",
    "attention_outside",
    "discriminability",
    "probe_between",
)
"""The measure that verdicts and figures are about: the first of these that a task has."""


def main_measure(metrics: Iterable[str]) -> str | None:
    """The one of a task's measures that verdicts are about; None where it has none of ``PRIMARY``."""
    there = set(metrics)
    return next((name for name in PRIMARY if name in there), None)


def main_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Of a table with a ``task`` and a ``metric`` a row: the rows of each task's main measure."""
    main = {task: main_measure(metrics) for task, metrics in table.groupby("task")["metric"]}
    return table[table["metric"] == table["task"].map(main)]


def measure(name: str) -> Measure:
    """By its name in a table; one that is not known is shown under its name."""
    if name.startswith(SENSITIVITY):
        return sensitivity(int(name.removeprefix(SENSITIVITY)) / 100)
    return MEASURES.get(name) or Measure(name=name, task="number", title=name, words=name, better=None)


def is_shown(name: str) -> bool:
    """Whether a mean of it is worth showing: it is known, and one side of it is better."""
    return measure(name).better is not None


def measures_in(table: pd.DataFrame) -> list[Measure]:
    """Those that have a value a row of this table ``dice`` or ``predictions`` of a run (`Measure.values` gives them).

    One that the run did not compute, since it is older than the measure, is not among them.
    """
    if "structure" in table:
        task = "segment"
    elif {"truth", "score"} <= set(table):
        task = "classes" if classes_of(table) else "number"
    else:
        return []
    return [
        one
        for one in MEASURES.values()
        if one.task == task
        and (one.of_rows or one.compute)
        and set(one.needs if one.of_rows else (one.name,)) <= set(table)
    ]
