"""Tests of paired differences, one a person; effect sizes; and what difference the sample could have shown."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy

EXACT = 16  # people: up to 2¹⁶ sign patterns are all tried


def sign_flip_p(differences: np.ndarray, *, seed: int = 0, draws: int = 20_000) -> float:
    """Two-sided p of a mean difference of 0, by turning signs (Fisher's permutation test for pairs).

    All 2ⁿ patterns are tried for up to 16 people, so that p is exact and cannot fall below 2 / 2ⁿ; beyond, ``draws``
    random ones, p = (b + 1) / (draws + 1) (Phipson & Smyth 2010).

    Args:
        differences: One a person, finite. NaN is returned for nobody, 1 where all are 0.
    """
    d = _finite(differences)
    if not len(d):
        return math.nan
    if not d.any() or len(d) == 1:
        return 1.0
    # the sum in place of the mean, rounded: patterns that are equal must not differ by the last bit
    scale = np.abs(d).max()
    result = scipy.stats.permutation_test(
        (d / scale,),
        lambda x, axis: np.round(x.sum(axis=axis), 9),
        vectorized=True,
        permutation_type="samples",
        batch=4096,
        n_resamples=2**EXACT if len(d) <= EXACT else draws,
        rng=np.random.default_rng(seed),
    )
    return min(float(result.pvalue), 1.0)


def wilcoxon_p(differences: np.ndarray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test (scipy), zeros kept by Pratt's rule; 1 where all are 0."""
    d = _finite(differences)
    if not len(d):
        return math.nan
    return float(scipy.stats.wilcoxon(d, zero_method="pratt").pvalue) if d.any() else 1.0


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """p values corrected for their number by Holm's step-down (1979), in the order given; NaN stays and counts not."""
    p = np.asarray(p_values, float)
    out = np.full(len(p), math.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    out[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1.0)
    return out


def false_discovery(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """The false-discovery rate at which each is found (Benjamini & Hochberg 1995, J. R. Stat. Soc. B 57:289; scipy
    computes it), in the order given; NaN stays and counts not. For maps and lists of which some may be false; verdicts
    are corrected by ``holm``."""
    p = np.asarray(p_values, float)
    out = np.full(p.shape, math.nan)
    known = np.isfinite(p)
    if known.any():
        out[known] = scipy.stats.false_discovery_control(p[known], method="bh")
    return out


def cohens_dz(differences: np.ndarray) -> float:
    """Mean of the differences over their standard deviation (n − 1); infinite where they are all alike and not 0."""
    d = _finite(differences)
    if len(d) < 2:
        return math.nan
    spread = float(d.std(ddof=1))
    if spread <= 1e-12 * np.abs(d).max(initial=0):
        return math.copysign(math.inf, d[0]) if d[0] else 0.0
    return float(d.mean()) / spread


def rank_biserial(differences: np.ndarray) -> float:
    """Matched-pairs rank-biserial correlation (Kerby 2014): share of the signed ranks that is positive minus the
    share that is negative, from −1 to 1; zeros are left out."""
    d = _finite(differences)
    d = d[d != 0]
    if not len(d):
        return math.nan
    ranks = scipy.stats.rankdata(np.abs(d))
    return float((ranks * np.sign(d)).sum() / ranks.sum())


def paired_power(effect: float, n: int, *, alpha: float = 0.05) -> float:
    """Power of the two-sided paired t test for a true ``effect`` in standard deviations of the differences: the
    noncentral t with n − 1 degrees of freedom and noncentrality effect · √n, beyond ± t(1 − α/2, n − 1)."""
    edge, shift = scipy.stats.t.ppf(1 - alpha / 2, n - 1), effect * math.sqrt(n)
    return float(scipy.stats.nct.sf(edge, n - 1, shift) + scipy.stats.nct.cdf(-edge, n - 1, shift))


def detectable_difference(differences: np.ndarray, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """Smallest true mean difference that these people, with this spread, would have shown with ``power``.

    The δ at which ``paired_power(δ / s, n) = power``, s the standard deviation of the differences (n − 1). About
    (t(1 − α/2, n − 1) + t(power, n − 1)) · s / √n. It describes the sample, not the result: take it beside the
    interval, never in its place. NaN for fewer than two people, and for two where it cannot be computed.
    """
    d = _finite(differences)
    if len(d) < 2:
        return math.nan
    spread = float(d.std(ddof=1))
    if spread == 0:
        return 0.0
    high = 1.0
    while paired_power(high, len(d), alpha=alpha) < power:
        high *= 2
    try:
        return float(scipy.optimize.brentq(lambda e: paired_power(e, len(d), alpha=alpha) - power, 0.0, high)) * spread
    except ValueError:  # two people: the noncentral t with one degree of freedom has no value that far out
        return math.nan


def _finite(differences: np.ndarray) -> np.ndarray:
    d = np.asarray(differences, float)
    return d[np.isfinite(d)]
