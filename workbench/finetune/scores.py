"""Scores of a classification or regression, by person, each with its interval and its n."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from workbench.measures.predictions import BINS, CONSTANT_GUESS, PEOPLE, bins, sensitivity
from workbench.stats import bootstrap_interval

DRAWS = 2000
MIN_PEOPLE = 2  # of a class, or there is no interval


def by_person(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """One row a person: ``truth`` (number of the class, or the mean number), and the mean of each prediction.

    Columns: ``p_0 …`` in the order of ``classes``, or ``score`` for regression.
    """
    columns = {f"p_{i}": predictions[f"p_{name}"] for i, name in enumerate(classes)} or {"score": predictions["score"]}
    codes = {name: i for i, name in enumerate(classes)}
    truth = predictions["truth"].map(codes) if classes else predictions["truth"]
    table = pd.DataFrame({"participant": predictions["participant"], "truth": truth.astype(float), **columns})
    return table.groupby("participant").mean()


def constant_guess(predictions: pd.DataFrame) -> float:
    """What to guess of everybody without looking: the median of the training people's numbers."""
    train = predictions[predictions["split"] == "train"]
    return float(train.assign(truth=train["truth"].astype(float)).groupby("participant")["truth"].mean().median())


def score_table(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    *,
    specificity: float = 0.9,
    seed: int = 0,
    guess: float | None = None,
) -> pd.DataFrame:
    """Every score of one set of people with a 95 % bootstrap interval over people, resampled within classes.

    Two classes: AUROC, balanced accuracy (at ½), sensitivity at the given specificity, Brier score, ECE. More: AUROC
    is the mean of each class against the rest, Brier the sum over classes, ECE that of the most probable class.
    Regression: mean absolute error, Pearson's r, mean error, and with ``guess`` the mean absolute error of a constant.
    The ECE of a few dozen people is biased upwards, and so is its interval: it is for looking at, not for comparing.

    Args:
        predictions: Rows of ``results/predictions.parquet``, one or more a person.
        classes: In the order of the columns ``p_<class>``; empty for regression.
        specificity: Where the sensitivity is read off the same people's ROC curve.
        seed: Of the bootstrap.
        guess: A number to hold beside a regression: what everybody would get who is not looked at.

    Returns:
        ``score``, ``estimate``, ``low``, ``high``, ``n`` (people). A score that does not exist for these people (an
        AUROC of one class) is NaN, and so are the ends where a class has one person.
    """
    people = by_person(predictions, classes)
    values = people.to_numpy(float)  # truth first
    strata = values[:, 0] if classes else None
    task = "classes" if classes else "number"
    offered = [*PEOPLE, *([sensitivity(specificity)] if len(classes) == 2 else [])]
    wanted = {one.name: one.of_people for one in offered if one.task == task and one.of_people is not None}
    counts = np.unique(values[:, 0], return_counts=True)[1] if classes else np.array([len(values)])
    asked = [(name, score, values) for name, score in wanted.items()]
    if guess is not None:
        asked.append((CONSTANT_GUESS, wanted["mae"], np.column_stack([values[:, 0], np.full(len(values), guess)])))
    rows = []
    for name, score, of in asked:
        if len(of) and counts.min() >= MIN_PEOPLE and math.isfinite(score(of)):
            found = bootstrap_interval(of, statistic=score, strata=strata, seed=seed, draws=DRAWS)
            rows.append((name, found.estimate, found.low, found.high, found.n))
        else:
            rows.append((name, score(of) if len(of) else math.nan, math.nan, math.nan, len(of)))
    return pd.DataFrame(rows, columns=["score", "estimate", "low", "high", "n"])


def reliability_table(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Calibration in ten equal bins of probability, by person: ``low``, ``high``, ``n``, ``predicted`` (mean
    probability), ``observed`` (share that was so) and ``gap`` (their absolute difference). Two classes: of the positive
    one; more: of the most probable one. Empty bins are left out."""
    people, total, true = bins(by_person(predictions, classes).to_numpy(float))
    there = np.flatnonzero(people)
    predicted, observed = total[there] / people[there], true[there] / people[there]
    return pd.DataFrame(
        {
            "low": there / BINS,
            "high": (there + 1) / BINS,
            "n": people[there],
            "predicted": predicted,
            "observed": observed,
            "gap": np.abs(predicted - observed),
        }
    )
