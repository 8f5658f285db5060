""" "No difference" as something that can be shown: equivalence within a margin that was named before."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests that a mean difference lies within ± ``margin``."""

    margin: float
    p: float
    """The larger of the two one-sided p values; below 0.05 the difference is smaller than the margin."""
    low: float
    high: float
    """Ends of the 90 % interval (for a level of 5 %): equivalence is shown where it lies within the margin."""
    n: int

    @property
    def shown(self) -> bool:
        return within(self.low, self.high, self.margin)


def equivalence(differences: np.ndarray, margin: float, *, alpha: float = 0.05) -> Equivalence:
    """TOST of paired differences (Schuirmann 1987, J. Pharmacokinet. Biopharm. 15:657; Lakens 2017).

    Args:
        differences: One a person; what is not finite is left out.
        margin: The largest difference that does not matter, named before the data were seen; above 0.

    Returns:
        NaN p and ends for fewer than two people.
    """
    if not margin > 0:
        raise ValueError(f"the margin is {margin}: it must be above 0")
    d = np.asarray(differences, float)
    d = d[np.isfinite(d)]
    n = len(d)
    if n < 2:
        return Equivalence(margin, math.nan, math.nan, math.nan, n)
    mean, error = float(d.mean()), float(d.std(ddof=1)) / math.sqrt(n)
    half = float(scipy.stats.t.ppf(1 - alpha, n - 1)) * error
    if error == 0:
        p = 0.0 if abs(mean) < margin else 1.0
    else:
        p = float(
            max(scipy.stats.t.sf((mean + margin) / error, n - 1), scipy.stats.t.cdf((mean - margin) / error, n - 1))
        )
    return Equivalence(margin, p, mean - half, mean + half, n)


def within(low: float, high: float, margin: float) -> bool:
    """Whether an interval shows that a difference is smaller than the margin; one with NaN ends shows nothing."""
    return bool(-margin < low and high < margin)
