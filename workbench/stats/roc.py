"""The area under the ROC curve, and DeLong's test of two of them on the same people."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy


def auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    """P(score of a positive > score of a negative) + ½ P(equal); NaN where only one class is there."""
    scores, positive = np.asarray(scores, float), np.asarray(positive, bool)
    m, n = int(positive.sum()), int((~positive).sum())
    if not m or not n:
        return math.nan
    return float((scipy.stats.rankdata(scores)[positive].sum() - m * (m + 1) / 2) / (m * n))


@dataclass(frozen=True)
class DeLong:
    """Two AUROCs on the same people, and the test of their difference."""

    a: float
    b: float
    variance: float
    """Of ``a − b``."""
    p: float
    """Two-sided."""
    low: float
    high: float
    """Ends of the normal interval of ``a − b``."""


def delong(scores_a: np.ndarray, scores_b: np.ndarray, positive: np.ndarray, *, level: float = 0.95) -> DeLong:
    """DeLong's test (DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837) by mid-ranks (Sun & Xu 2014, IEEE SPL
    21:1389, theorem 1).

    Args:
        scores_a, scores_b: One a person under either arm (average a person's scans before).
        positive: One a person.

    Raises:
        ValueError: a class has fewer than two people.
    """
    positive = np.asarray(positive, bool)
    scores = np.stack([np.asarray(scores_a, float), np.asarray(scores_b, float)])
    x, y = scores[:, positive], scores[:, ~positive]
    m, n = x.shape[1], y.shape[1]
    if m < 2 or n < 2:
        raise ValueError(f"DeLong's test needs two people of each class; there are {m} and {n}")
    together = scipy.stats.rankdata(np.concatenate([x, y], axis=1), axis=1)
    v10 = (together[:, :m] - scipy.stats.rankdata(x, axis=1)) / n  # of each positive: share of the negatives below it
    v01 = 1 - (together[:, m:] - scipy.stats.rankdata(y, axis=1)) / m
    a, b = (float(v) for v in v10.mean(axis=1))
    covariance = np.cov(v10) / m + np.cov(v01) / n
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    variance = 0.0 if variance < 1e-15 else variance
    half = float(scipy.stats.norm.ppf((1 + level) / 2)) * math.sqrt(variance)
    if variance == 0:
        p = 1.0 if math.isclose(a, b) else 0.0
    else:
        p = float(2 * scipy.stats.norm.sf(abs(a - b) / math.sqrt(variance)))
    return DeLong(a, b, variance, p, a - b - half, a - b + half)
