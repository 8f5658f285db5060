"""Scores of a classification that are no mean over people: as values a person, or from everybody at once."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from workbench.finetune.scores import calibration_error, sensitivity_at
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


def pooled_scores(scores: pd.DataFrame, specificity: float) -> dict[str, Interval]:
    """Sensitivity at a specificity and calibration error of one arm in one place, with intervals over people.

    Neither is a mean of people's values: each is computed for every repeat of pretraining, averaged over them, and
    people are resampled within classes. The interval holds for these pretrainings.

    Args:
        scores: ``participant``, ``seed``, ``score``, ``truth``, as ``numbers.scored`` gives.
        specificity: Where the sensitivity is read.
    """
    wide = scores.pivot_table("score", ["participant", "truth"], "seed").dropna().reset_index("truth")
    truth, seeds = wide.pop("truth").to_numpy(float), wide.to_numpy(float)
    values = np.column_stack([truth, seeds])
    counts = [int((truth == 1).sum()), int((truth != 1).sum())]

    def mean_over_seeds(score):
        return lambda v: float(np.mean([score(v[:, 0], v[:, k]) for k in range(1, v.shape[1])]))

    wanted = {f"sensitivity_at_{round(100 * specificity)}": mean_over_seeds(
                  lambda truth, p: sensitivity_at(p, truth == 1, specificity)),
              "calibration_error": mean_over_seeds(
                  lambda truth, p: calibration_error(np.column_stack([truth, 1 - p, p])))}
    if min(counts) < 2:
        return {name: Interval(score(values), math.nan, math.nan, len(values), seeds=seeds.shape[1])
                for name, score in wanted.items()}
    found = {name: bootstrap_interval(values, statistic=score, strata=truth, draws=DRAWS)
             for name, score in wanted.items()}
    return {name: Interval(f.estimate, f.low, f.high, f.n, f.level, seeds.shape[1]) for name, f in found.items()}
