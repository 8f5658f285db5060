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
