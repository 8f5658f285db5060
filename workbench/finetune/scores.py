"""Scores of a classification or regression, by person, each with its interval and its n."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from workbench.stats import auroc, bootstrap_interval

BINS = 10
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


def score_table(
    predictions: pd.DataFrame, classes: Sequence[str], *, specificity: float = 0.9, seed: int = 0
) -> pd.DataFrame:
    """Every score of one set of people with a 95 % bootstrap interval over people, resampled within classes.

    Two classes: AUROC, balanced accuracy (at ½), sensitivity at the given specificity, Brier score, ECE. More: AUROC
    is the mean of each class against the rest, Brier the sum over classes, ECE that of the most probable class.
    Regression: mean absolute error, Pearson's r, mean error. The ECE of a few dozen people is biased upwards, and so is
    its interval: it is for looking at, not for comparing.

    Args:
        predictions: Rows of ``results/predictions.parquet``, one or more a person.
        classes: In the order of the columns ``p_<class>``; empty for regression.
        specificity: Where the sensitivity is read off the same people's ROC curve.
        seed: Of the bootstrap.

    Returns:
        ``score``, ``estimate``, ``low``, ``high``, ``n`` (people). A score that does not exist for these people (an
        AUROC of one class) is NaN, and so are the ends where a class has one person.
    """
    people = by_person(predictions, classes)
    values = people.to_numpy(float)  # truth first
    if not classes:
        wanted: dict[str, Callable[[np.ndarray], float]] = {
            "mae": lambda v: float(np.abs(v[:, 1] - v[:, 0]).mean()),
            "r": _pearson,
            "mean_error": lambda v: float((v[:, 1] - v[:, 0]).mean()),
        }
        strata = None
    else:
        strata = values[:, 0]
        wanted = {"auroc": _auroc, "balanced_accuracy": _balanced_accuracy, "brier": _brier, "ece": _calibration_error}
        if len(classes) == 2:
            wanted[f"sensitivity_at_{round(100 * specificity)}"] = lambda v: sensitivity_at(
                v[:, 2], v[:, 0] == 1, specificity
            )
    counts = np.unique(values[:, 0], return_counts=True)[1] if classes else np.array([len(values)])
    rows = []
    for name, score in wanted.items():
        if len(values) and counts.min() >= MIN_PEOPLE and math.isfinite(score(values)):
            found = bootstrap_interval(values, statistic=score, strata=strata, seed=seed, draws=DRAWS)
            rows.append((name, found.estimate, found.low, found.high, found.n))
        else:
            rows.append((name, score(values) if len(values) else math.nan, math.nan, math.nan, len(values)))
    return pd.DataFrame(rows, columns=["score", "estimate", "low", "high", "n"])


def reliability_table(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Calibration in ten equal bins of probability, by person: ``low``, ``high``, ``n``, ``predicted`` (mean
    probability), ``observed`` (share that was so) and ``gap`` (their absolute difference). Two classes: of the positive
    one; more: of the most probable one. Empty bins are left out."""
    people, total, true = _bins(by_person(predictions, classes).to_numpy(float))
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


def sensitivity_at(scores: np.ndarray, positive: np.ndarray, specificity: float) -> float:
    """Largest share of positives above a threshold with at least ``specificity`` of the negatives at or below it."""
    negatives = np.sort(scores[~positive])[::-1]
    if not len(negatives) or not positive.any():
        return math.nan
    allowed = math.floor(round((1 - specificity) * len(negatives), 9))
    return float((scores[positive] > negatives[allowed]).mean())


def _auroc(values: np.ndarray) -> float:
    truth, probabilities = values[:, 0], values[:, 1:]
    if probabilities.shape[1] == 2:
        return auroc(probabilities[:, 1], truth == 1)
    return float(np.mean([auroc(probabilities[:, c], truth == c) for c in range(probabilities.shape[1])]))


def _balanced_accuracy(values: np.ndarray) -> float:
    right = values[:, 1:].argmax(axis=1) == values[:, 0]
    return float(np.mean([right[values[:, 0] == c].mean() for c in np.unique(values[:, 0])]))


def _brier(values: np.ndarray) -> float:
    classes = values.shape[1] - 1
    squares = (values[:, 1:] - (values[:, :1] == np.arange(classes))) ** 2
    return float((squares[:, 1] if classes == 2 else squares.sum(axis=1)).mean())


def _pearson(values: np.ndarray) -> float:
    if len(values) < 2 or np.ptp(values[:, 0]) == 0 or np.ptp(values[:, 1]) == 0:
        return math.nan
    return float(np.corrcoef(values[:, 0], values[:, 1])[0, 1])


def _bins(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """People, summed probability and number of true ones in each of the bins."""
    if values.shape[1] == 3:
        predicted, observed = values[:, 2], values[:, 0] == 1
    else:
        predicted, observed = values[:, 1:].max(axis=1), values[:, 1:].argmax(axis=1) == values[:, 0]
    bins = np.minimum((predicted * BINS).astype(int), BINS - 1)
    people, total, true = (np.bincount(bins, w, minlength=BINS) for w in (None, predicted, observed))
    return people, total, true


def _calibration_error(values: np.ndarray) -> float:
    """Mean over people of the gap in their bin (Naeini et al. 2015)."""
    _, total, true = _bins(values)
    return float(np.abs(total - true).sum() / len(values))
