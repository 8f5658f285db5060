"""Fine-tuning: the score of the tested people with its interval, and what the same run with other weights gave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError
from workbench.found.found import Found, numbers
from workbench.measures import MEASURES, Measure, measures_in
from workbench.measures.predictions import CONSTANT_GUESS
from workbench.runs import Run
from workbench.stats import Interval, bootstrap_interval, compare, verdict
from workbench.stats.sentence import estimate

WEIGHTS = {"random": "random weights", "pretrained": "pretrained weights"}
BY_SCORE = ("auroc", "mae")  # what a classification is told by: the first that its table has


def segment(run: Run) -> Found:
    """Dice of the people it was tested on, mean over structures; against the same settings with other weights."""
    dice, side = MEASURES["dice"], tested_side(run)
    people = by_person(run, dice, side)
    if not len(people):
        return Found("nobody with labels was tested", numbers=())
    own = bootstrap_interval(people.to_numpy())
    beside = []
    if (other := counterpart(run)) is not None and len(theirs := by_person(other, dice, side)):
        told = estimate(bootstrap_interval(theirs.to_numpy()), WEIGHTS[other.config["init"]], digits=dice.plain_digits)
        beside = [f"{told} ({other.name})", paired(run, other, people, theirs, dice)]
    where = "" if side == "test" else f" ({side} people)"
    return Found(
        estimate(own, dice.title, digits=dice.plain_digits) + where,
        tuple(beside),
        ({"measure": dice.name, "side": side, **numbers(own)},),
    )


def classify(run: Run) -> Found:
    """The score of the people it was tested on, and that of the same settings with other weights."""
    own = _score(run)
    if own is None:
        return Found("nobody was tested")
    measure, interval = own
    beside = []
    if (other := counterpart(run)) is not None and (theirs := _score(other)) is not None:
        what = WEIGHTS[other.config["init"]]
        beside = [f"{estimate(theirs[1], what, digits=measure.plain_digits)} ({other.name})"]
    if (constant := _constant(run)) is not None:
        told = f"guessing {run.provenance['constant_guess']:.4g}, the training people's median, of everybody"
        beside.append(estimate(constant, told, digits=measure.plain_digits))
    positive = run.provenance.get("positive")
    target = f"{run.config['target']}" + (f" = {positive}" if positive else "")
    return Found(
        f"{estimate(interval, measure.title, digits=measure.plain_digits)} ({target})",
        tuple(beside),
        ({"measure": measure.name, "side": "test", **numbers(interval)},),
    )


def tested_side(run: Run) -> str:
    """Whose scores a segmentation is told by."""
    asked = run.config.get("predict", "test")
    return "test" if asked == "all" else str(asked)


def by_person(run: Run, measure: Measure, side: str = "test") -> pd.Series:
    """Values of a segmentation's measure by person, scans averaged, then structures."""
    table = run.read_table("dice")
    table = table[table["split"] == side] if "split" in table else table
    if measure.name not in {one.name for one in measures_in(table)}:
        raise WorkbenchError(f"{run.path}: has no {measure.title}", remedy="it is of an older version: run it again")
    rows = table.assign(value=measure.values(table))
    each = rows.groupby(["participant", "structure"])["value"].mean()
    return each.groupby("participant").mean().dropna()


def counterpart(run: Run) -> Run | None:
    """The run beside this one that differs from it in the weights alone (``init``); None where there is none."""
    own = _settings(run)
    for folder in sorted(run.path.resolve().parent.iterdir()):
        if folder.name == run.path.resolve().name or not (folder / "status.json").is_file():
            continue
        try:
            other = Run(folder)
            same = other.job == run.job and other.ok and _settings(other) == own
            if same and other.config.get("init") != run.config.get("init"):
                return other
        except WorkbenchError:  # a folder half written, or of another program
            continue
    return None


def paired(run: Run, other: Run, ours: pd.Series, theirs: pd.Series, measure: Measure) -> str:
    """The sentence that the paired difference of two runs allows."""
    found = compare(ours.to_numpy(), ours.index.to_numpy(str), theirs.to_numpy(), theirs.index.to_numpy(str))
    return verdict(
        found.interval,
        a=run.config["init"],
        b=other.config["init"],
        what=measure.title,
        p=found.p,
        detectable=found.detectable,
        digits=measure.plain_digits,
        marks=["simulated data"] if run.simulated else [],
        less_is_better=measure.better == "lower",
    )


def _settings(run: Run) -> dict[str, Any]:
    return {k: v for k, v in run.config.items() if k not in ("out", "init")}


def _score(run: Run) -> tuple[Measure, Interval] | None:
    return next(((MEASURES[name], found) for name in BY_SCORE if (found := _tested(run, name)) is not None), None)


def _constant(run: Run) -> Interval | None:
    """Of a regression: the error of one guess for everybody; None of a run of before it was computed."""
    return _tested(run, CONSTANT_GUESS) if "constant_guess" in run.provenance else None


def _tested(run: Run, score: str) -> Interval | None:
    """A score of the tested people, where it exists."""
    table = run.read_table("scores")
    rows = table[(table["split"] == "test") & (table["score"] == score)]
    if not len(rows) or not np.isfinite(rows["estimate"].iloc[0]):
        return None
    row = rows.iloc[0]
    return Interval(float(row["estimate"]), float(row["low"]), float(row["high"]), int(row["n"]))
