"""Measures of a predicted class or number: a value a row of a run's ``predictions``, or one from everybody at once.

A new one is a function and a row in `PEOPLE` at the end of this file.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from workbench.measures.measure import Measure
from workbench.stats.roc import auroc

BINS = 10
PROBABILITY = "p_"  # what the columns of class probabilities begin with, in the order of the classes
SENSITIVITY = "sensitivity_at_"
CONSTANT_GUESS = "mae_of_constant_guess"  # the mean absolute error of one number for everybody, in a run's scores


def classes_of(predictions: pd.DataFrame) -> list[str]:
    """The classes of a run's ``predictions``, of two the positive one last; none for a regression."""
    return [str(name).removeprefix(PROBABILITY) for name in predictions if str(name).startswith(PROBABILITY)]


def _chances_and_hits(predictions: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """``(rows, classes)`` each: the probabilities, and 1 for the true class."""
    names = classes_of(predictions)
    chances = predictions[[f"{PROBABILITY}{name}" for name in names]].to_numpy(float)
    place = predictions["truth"].astype(str).map({name: i for i, name in enumerate(names)}).to_numpy(int)
    return chances, np.eye(len(names))[place]


def squared_error(predictions: pd.DataFrame) -> pd.Series:
    """Of the positive class of two; of more, summed over the classes."""
    chances, hits = _chances_and_hits(predictions)
    squares = (chances - hits) ** 2
    return pd.Series(squares[:, 1] if squares.shape[1] == 2 else squares.sum(axis=1), index=predictions.index)


def correct(predictions: pd.DataFrame) -> pd.Series:
    """1 where the most probable class is the true one."""
    chances, hits = _chances_and_hits(predictions)
    return pd.Series((chances.argmax(axis=1) == hits.argmax(axis=1)).astype(float), index=predictions.index)


def absolute_error(predictions: pd.DataFrame) -> pd.Series:
    return (predictions["score"] - predictions["truth"].astype(float)).abs()


def area_under_curve(values: np.ndarray) -> float:
    """Of several classes the mean of each against the rest."""
    truth, probabilities = values[:, 0], values[:, 1:]
    if probabilities.shape[1] == 2:
        return auroc(probabilities[:, 1], truth == 1)
    return float(np.mean([auroc(probabilities[:, c], truth == c) for c in range(probabilities.shape[1])]))


def balanced_accuracy(values: np.ndarray) -> float:
    """Mean over classes of the share that is right, the most probable class being named."""
    right = values[:, 1:].argmax(axis=1) == values[:, 0]
    return float(np.mean([right[values[:, 0] == c].mean() for c in np.unique(values[:, 0])]))


def brier(values: np.ndarray) -> float:
    """Of two classes the mean squared error of the positive one; of more, summed over the classes."""
    classes = values.shape[1] - 1
    squares = (values[:, 1:] - (values[:, :1] == np.arange(classes))) ** 2
    return float((squares[:, 1] if classes == 2 else squares.sum(axis=1)).mean())


def calibration_error(values: np.ndarray) -> float:
    """Mean over people of the gap in their bin (Naeini et al. 2015)."""
    _, total, true = bins(values)
    return float(np.abs(total - true).sum() / len(values))


def bins(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """People, summed probability and number of true ones in each of the bins; of more than two classes those of the
    most probable one."""
    if values.shape[1] == 3:
        predicted, observed = values[:, 2], values[:, 0] == 1
    else:
        predicted, observed = values[:, 1:].max(axis=1), values[:, 1:].argmax(axis=1) == values[:, 0]
    place = np.minimum((predicted * BINS).astype(int), BINS - 1)
    people, total, true = (np.bincount(place, w, minlength=BINS) for w in (None, predicted, observed))
    return people, total, true


def sensitivity_at(scores: np.ndarray, positive: np.ndarray, specificity: float) -> float:
    """Largest share of positives above a threshold with at least ``specificity`` of the negatives at or below it."""
    negatives = np.sort(scores[~positive])[::-1]
    if not len(negatives) or not positive.any():
        return math.nan
    allowed = math.floor(round((1 - specificity) * len(negatives), 9))
    return float((scores[positive] > negatives[allowed]).mean())


def sensitivity(specificity: float) -> Measure:
    """Of two classes, at a specificity, which is a setting."""
    percent = round(100 * specificity)
    return Measure(
        name=f"{SENSITIVITY}{percent}",
        task="classes",
        title=f"sensitivity at {percent} % specificity",
        words=f"points of sensitivity at {percent} % specificity",
        long="sensitivity at a fixed specificity",
        scale=100,
        digits=1,
        most=1,
        of_people=lambda values: sensitivity_at(values[:, 2], values[:, 0] == 1, specificity),
    )


def _mean_absolute_error(values: np.ndarray) -> float:
    return float(np.abs(values[:, 1] - values[:, 0]).mean())


def _mean_error(values: np.ndarray) -> float:
    return float((values[:, 1] - values[:, 0]).mean())


def _pearson(values: np.ndarray) -> float:
    if len(values) < 2 or np.ptp(values[:, 0]) == 0 or np.ptp(values[:, 1]) == 0:
        return math.nan
    return float(np.corrcoef(values[:, 0], values[:, 1])[0, 1])


PEOPLE = (
    Measure(
        name="auroc",
        task="classes",
        title="AUROC",
        words="AUROC",
        long="AUROC",
        digits=3,
        most=1,
        of_people=area_under_curve,
    ),
    Measure(
        name="balanced_accuracy",
        task="classes",
        title="balanced accuracy",
        words="points of balanced accuracy",
        long="balanced accuracy",
        scale=100,
        digits=1,
        most=1,
        of_people=balanced_accuracy,
    ),
    Measure(
        name="correct",
        task="classes",
        title="accuracy",
        words="points of accuracy",
        scale=100,
        digits=1,
        most=1,
        of_rows=correct,
    ),
    Measure(
        name="brier",
        task="classes",
        title="Brier score",
        words="Brier score",
        long="Brier score",
        digits=3,
        better="lower",
        of_rows=squared_error,
        of_people=brier,
    ),
    Measure(
        name="ece",
        task="classes",
        title="expected calibration error",
        words="expected calibration error",
        digits=3,
        better="lower",
        most=1,
        of_people=calibration_error,
    ),
    Measure(
        name="absolute_error",
        task="number",
        title="absolute error",
        words="mean absolute error",
        long="mean absolute error",
        better="lower",
        of_rows=absolute_error,
    ),
    Measure(
        name="mae",
        task="number",
        title="mean absolute error",
        words="mean absolute error",
        better="lower",
        of_people=_mean_absolute_error,
    ),
    Measure(name="r", task="number", title="Pearson's r", words="r", digits=2, most=1, of_people=_pearson),
    Measure(
        name="mean_error",
        task="number",
        title="mean error",
        words="mean error",
        better=None,
        of_people=_mean_error,
    ),
)
