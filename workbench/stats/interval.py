"""Intervals over people: the bootstrap, and the two-level interval that has the variation of the pretraining in it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy

from workbench.stats.by_person import person_means

DRAWS = 10_000


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval. ``low`` and ``high`` are NaN where fewer than two people leave none."""

    estimate: float
    low: float
    high: float
    n: int
    """People."""
    level: float = 0.95
    seeds: int = 1
    """Pretrainings over which it was resampled; with 1 their variation is not in it."""

    @property
    def ends(self) -> tuple[float, float]:
        return self.low, self.high

    def excludes(self, value: float) -> bool:
        return self.low > value or self.high < value


def bootstrap_interval(
    values: np.ndarray,
    people: Sequence[object] | np.ndarray | None = None,
    *,
    statistic: Callable[[np.ndarray], float] | None = None,
    strata: Sequence[object] | np.ndarray | None = None,
    method: Literal["percentile", "BCa"] = "percentile",
    seed: int = 0,
    draws: int = DRAWS,
    level: float = 0.95,
) -> Interval:
    """Interval of a statistic by resampling people (Efron & Tibshirani 1993, ch. 13 and 14; scipy does the drawing).

    Args:
        values: ``(rows,)`` or ``(rows, columns)``, for example score and class. Rows of one person are averaged
            first, column by column, so that scans, folds and seeds are repeats and not people.
        people: Whose each row is; None: every row is a person.
        statistic: From the people's means (as ``values``, a row a person) to a number; the mean unless given.
        strata: A level a row (site, class), one a person: people are then resampled within each level, as is needed
            for an AUROC, which does not exist for one class alone.
        method: ``"BCa"`` corrects bias and skewness; it needs a jackknife and is second-order accurate.
        seed: Of the resampling.
        draws: Resamples.
        level: Coverage.

    Returns:
        The interval; NaN ends for fewer than two people. Where every resample gives the same value, both ends are it.
    """
    names, means = person_means(values, people)
    if len(names) < 2:
        return Interval(_estimate(means, statistic), math.nan, math.nan, len(names), level)
    groups = _groups(values, people, strata, names)
    if statistic is None:

        def of_indices(*parts: np.ndarray, axis: int = -1) -> np.ndarray:
            return means[np.concatenate(parts, axis=axis)].mean(axis=axis)
    else:

        def of_indices(*parts: np.ndarray) -> float:  # type: ignore[misc]
            return statistic(means[np.concatenate(parts)])

    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)  # told by equal ends
        result = scipy.stats.bootstrap(
            groups,
            of_indices,
            vectorized=statistic is None,
            n_resamples=draws,
            batch=1000,
            method=method,
            confidence_level=level,
            rng=np.random.default_rng(seed),
        )
    low, high = (float(end) for end in result.confidence_interval)
    if np.ptp(result.bootstrap_distribution) == 0:
        low = high = float(result.bootstrap_distribution[0])
    return Interval(_estimate(means, statistic), low, high, len(names), level)


def _estimate(means: np.ndarray, statistic: Callable[[np.ndarray], float] | None) -> float:
    if not len(means):
        return math.nan
    return float(means.mean() if statistic is None else statistic(means))


def _groups(
    values: np.ndarray,
    people: Sequence[object] | np.ndarray | None,
    strata: Sequence[object] | np.ndarray | None,
    names: np.ndarray,
) -> list[np.ndarray]:
    """Positions in ``names`` that are resampled together. A stratum of one person cannot vary: it is refused."""
    if strata is None:
        return [np.arange(len(names))]
    rows = np.arange(len(values)) if people is None else np.asarray(people)
    level_of: dict[object, object] = {}
    for name, stratum in zip(rows.tolist(), np.asarray(strata).tolist(), strict=True):
        if level_of.setdefault(name, stratum) != stratum:
            raise ValueError(f"{name} is in two strata: {level_of[name]} and {stratum}")
    levels = np.array([str(level_of[name]) for name in names.tolist()])
    groups = [np.flatnonzero(levels == level) for level in sorted(set(levels))]
    if small := [levels[g[0]] for g in groups if len(g) < 2]:
        raise ValueError(f"a stratum of one person cannot be resampled: {', '.join(small)}")
    return groups


def two_level_interval(
    values: np.ndarray,
    people: Sequence[object] | np.ndarray,
    seeds: Sequence[object] | np.ndarray,
    *,
    method: Literal["bootstrap", "t"] = "bootstrap",
    seed: int = 0,
    draws: int = DRAWS,
    level: float = 0.95,
) -> Interval:
    """Interval of a mean over pretraining seeds × people, both resampled, since both would be others next time.

    Seeds and people are crossed (every person is tested under every pretraining), so each draw resamples seeds and,
    independently, people, and takes the mean of the chosen cells (the pigeonhole bootstrap, Owen 2007, Ann. Appl.
    Stat. 1:386). Seed and person effects are first stretched by √(m / (m − 1)), without which three seeds would
    show two thirds of their variance.

    **With fewer than about six seeds a percentile cannot reach the tails** (coverage of 95 % intervals is 80 to 90 %
    where the seeds dominate). ``method="t"`` is the two-way random-effects interval: variance
    (MS_seed + MS_person − MS_rest) / (S · P), at least MS_seed / (S · P) or MS_person / (S · P), and Student's t with
    Satterthwaite's degrees of freedom, as for multi-reader studies (Hillis 2007, Stat. Med. 26:596). It keeps its
    level and is wide, which is what three pretrainings are worth.

    Args:
        values: A row each, for example the paired difference of two arms' Dice.
        people, seeds: Whose, and under which pretraining; repeats of a cell (folds, scans) are averaged. A person
            who misses a seed is left out.
    """
    table = _crossed(np.asarray(values, float), np.asarray(people), np.asarray(seeds))
    s, p = table.shape
    estimate = float(table.mean()) if table.size else math.nan
    if p < 2:
        return Interval(estimate, math.nan, math.nan, p, level, s)
    if s < 2:
        one = bootstrap_interval(table[0], seed=seed, draws=draws, level=level)
        return Interval(one.estimate, one.low, one.high, p, level, 1)
    by_seed, by_person = table.mean(axis=1) - estimate, table.mean(axis=0) - estimate
    rest = table - estimate - by_seed[:, None] - by_person
    if method == "t":
        low, high = _satterthwaite(estimate, by_seed, by_person, rest, level)
        return Interval(estimate, low, high, p, level, s)
    stretched = estimate + math.sqrt(s / (s - 1)) * by_seed[:, None] + math.sqrt(p / (p - 1)) * by_person + rest
    rng = np.random.default_rng(seed)
    weight_s = rng.multinomial(s, np.full(s, 1 / s), size=draws) / s
    weight_p = rng.multinomial(p, np.full(p, 1 / p), size=draws) / p
    means = ((weight_s @ stretched) * weight_p).sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high), p, level, s)


def _satterthwaite(
    mean: float, by_seed: np.ndarray, by_person: np.ndarray, rest: np.ndarray, level: float
) -> tuple[float, float]:
    s, p = rest.shape
    ms_s, ms_p = p * (by_seed**2).sum() / (s - 1), s * (by_person**2).sum() / (p - 1)
    ms_e = (rest**2).sum() / ((s - 1) * (p - 1))
    total = max(ms_s + ms_p - ms_e, ms_s, ms_p)
    if total == 0:
        return mean, mean
    freedom = max(total**2 / (ms_s**2 / (s - 1) + ms_p**2 / (p - 1) + ms_e**2 / ((s - 1) * (p - 1))), 1.0)
    half = float(scipy.stats.t.ppf((1 + level) / 2, freedom)) * math.sqrt(total / (s * p))
    return mean - half, mean + half


def _crossed(values: np.ndarray, people: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """``(seeds, people)`` of cell means, people with every seed only."""
    names, levels = np.unique(people), np.unique(seeds)
    place = (np.searchsorted(levels, seeds), np.searchsorted(names, people))
    good = np.isfinite(values)
    sums, counts = np.zeros((len(levels), len(names))), np.zeros((len(levels), len(names)))
    np.add.at(sums, (place[0][good], place[1][good]), values[good])
    np.add.at(counts, (place[0][good], place[1][good]), 1)
    full = (counts > 0).all(axis=0)
    return sums[:, full] / counts[:, full]
