"""Scores of one scan or of one set of people."""

from __future__ import annotations

import math

import numpy as np


def dice(predicted: np.ndarray, truth: np.ndarray) -> float:
    """2 |A ∩ B| / (|A| + |B|) of two bool arrays of the same shape.

    Both empty: NaN, since there was nothing to find (left out of means). One empty: 0.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"prediction {predicted.shape} and truth {truth.shape} are on different grids")
    total = int(predicted.sum()) + int(truth.sum())
    return 2 * int((predicted & truth).sum()) / total if total else math.nan


def bootstrap_interval(values: np.ndarray, *, seed: int = 0, draws: int = 10_000,
                       level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of the mean over people: one value a person (average a person's scans before)."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return math.nan, math.nan
    rng = np.random.default_rng(seed)
    means = values[rng.integers(len(values), size=(draws, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
