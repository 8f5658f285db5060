"""Scores of a classification that are no mean over people: as values a person, or from everybody at once."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd

from workbench.measures.predictions import sensitivity_at
from workbench.stats import Interval, auroc, bootstrap_interval

DRAWS = 2000


def auroc_parts(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Jackknife pseudo-values of the AUROC, one a person: n · AUROC − (n − 1) · AUROC without that person.

    Their mean is (all but) the AUROC, and they can be analysed as people's values are, over seeds too (Dorfman, Berbaum
    & Metz 1992, Invest. Radiol. 27:723, where readers stand in the place of seeds). NaN for the only one of a class.
    """
    scores, positive = np.asarray(scores, float), np.asarray(positive, bool)
    n, whole = len(scores), auroc(scores, positive)
    keep = ~np.eye(n, dtype=bool)
    return np.array([n * whole - (n - 1) * auroc(scores[row], positive[row]) for row in keep])


def balanced_parts(right: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Jackknife pseudo-values of the balanced accuracy (mean over classes of the share that is right), one a person.

    In closed form: without person i of class c, of n_c people, the share of that class falls by
    (right_i − share_c) / (n_c − 1). Their mean is the balanced accuracy. NaN for the only one of a class.
    """
    right, classes = np.asarray(right, float), np.asarray(classes)
    names, place, counts = np.unique(classes, return_inverse=True, return_counts=True)
    share = np.bincount(place, right, minlength=len(names)) / counts
    alone = np.where(counts > 1, counts - 1, math.nan)[place]
    return share.mean() + (len(right) - 1) / len(names) * (right - share[place]) / alone


def sensitivity(scores: pd.DataFrame, specificity: float) -> Interval:
    """Sensitivity at a specificity of one arm in one place, with its interval over people.

    It is no mean of people's values: it is read for every repeat of pretraining, averaged over them, and people are
    resampled within classes. The interval holds for these pretrainings.

    Args:
        scores: ``participant``, ``seed``, ``score``, ``truth``, as ``numbers.scored`` gives.
        specificity: Where it is read off the same people's ROC curve.
    """
    wide = scores.pivot_table("score", ["participant", "truth"], "seed").dropna().reset_index("truth")
    truth = wide.pop("truth").to_numpy(float)
    values = np.column_stack([truth, wide.to_numpy(float)])

    def mean_over_seeds(v: np.ndarray) -> float:
        return float(np.mean([sensitivity_at(v[:, k], v[:, 0] == 1, specificity) for k in range(1, v.shape[1])]))

    if min(int((truth == 1).sum()), int((truth != 1).sum())) < 2:
        return Interval(mean_over_seeds(values), math.nan, math.nan, len(values), seeds=wide.shape[1])
    found = bootstrap_interval(values, statistic=mean_over_seeds, strata=truth, draws=DRAWS)
    return replace(found, seeds=wide.shape[1])
