"""Tests at many places at once: maps of paired differences over people, and of two groups of people."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.stats.paired import false_discovery

EXACT = 12  # people: up to 2¹² sign patterns are all tried
AT_ONCE = 8_000_000  # numbers of an array that is made on the way


@dataclass(frozen=True)
class MapTest:
    """``(places,)`` each; NaN at places where nothing varies."""

    mean: np.ndarray
    t: np.ndarray
    p: np.ndarray
    """Two-sided, of the place by itself."""
    p_family: np.ndarray
    """Corrected over all places: the chance that any place of a map without differences has so large a t."""
    q: np.ndarray
    """The false-discovery rate at which the place is found (Benjamini & Hochberg 1995)."""
    people: int
    smallest_p: float = 0.0
    """That these people can give at all: 0 where it is not known."""


def sign_flip_map(differences: np.ndarray, *, seed: int = 0, draws: int = 2000) -> MapTest:
    """Which places of a map differ, by turning the signs of whole people (Nichols & Holmes 2002, HBM 15:1).

    A person's map is turned as one, so that what neighbouring places have in common stays in every draw; the family's
    p comes from the largest |t| of each draw. All patterns are tried for up to 12 people; p = (b + 1) / (draws + 1)
    beyond.

    Args:
        differences: ``(people, places)``, finite: one map a person, of one arm minus another, or of attention minus
            what chance gives.
    """
    d = np.asarray(differences, float)
    n = len(d)
    if d.ndim != 2 or n < 2 or not np.isfinite(d).all():
        raise ValueError(f"maps {d.shape}: (people, places) of at least two people, all finite, are needed")
    varies = d.any(axis=0)
    own = _t(d, np.ones((1, n)))[0]
    if n <= EXACT:
        signs = 1 - 2.0 * (np.arange(2 ** (n - 1))[:, None] >> np.arange(n) & 1)  # the other half mirrors these
    else:
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(draws, n))
    single, family = np.zeros(d.shape[1]), np.zeros(d.shape[1])
    for part in np.array_split(signs, max(1, len(signs) * d.shape[1] // AT_ONCE)):
        drawn = np.abs(_t(d, part))
        single += (drawn >= np.abs(own) - 1e-9).sum(axis=0)
        largest = drawn[:, varies].max(axis=1) if varies.any() else np.zeros(len(part))
        family += (largest[:, None] >= np.abs(own) - 1e-9).sum(axis=0)
    if n > EXACT:
        single, family, total = single + 1, family + 1, len(signs) + 1
    else:
        total = len(signs)
    p, p_family = (np.where(varies, counts / total, np.nan) for counts in (single, family))
    return MapTest(d.mean(axis=0), np.where(varies, own, np.nan), p, p_family, false_discovery(p), n, 1 / total)


def _t(d: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """t of each place for each pattern of signs, ``(patterns, places)``; the sum of squares is the same for all."""
    n = len(d)
    mean, squares = signs @ d / n, (d**2).mean(axis=0)
    spread = np.sqrt(np.maximum(squares - mean**2, 1e-12 * np.maximum(squares, 1e-300)) / (n - 1))
    return mean / spread


def two_group_map(
    values: np.ndarray,
    first: Sequence[bool] | np.ndarray,
    *,
    within: Sequence[object] | np.ndarray | None = None,
    seed: int = 0,
    draws: int = 2000,
) -> MapTest:
    """Which places of a map differ between two groups of people, by giving the groups' names to people at random
    (Nichols & Holmes 2002, HBM 15:1).

    ``t`` is that of the linear model *place ~ group + level of ``within``*, the two-sample t with pooled variance where
    there is none; a person's map goes with the person as one, so that what neighbouring places have in common stays in
    every draw, and the family's p comes from the largest |t| of each draw. All labellings are tried where there are no
    more than ``draws``; p = (b + 1) / (draws + 1) beyond. It asks whether the groups are alike: where they are of
    unequal size and differ in spread alone, it may find that.

    Args:
        values: ``(people, places)``, finite: one map a person.
        first: Who is in the first group; ``mean`` is the first group minus the second.
        within: A level a person (the site, say): names are exchanged among people of one level alone, and differences
            between levels are taken out. A level that holds one group says nothing.
    """
    x, group = np.asarray(values, float), np.asarray(first, bool)
    if x.ndim != 2 or len(group) != len(x) or not np.isfinite(x).all():
        raise ValueError(f"maps {x.shape} of {len(group)} people: (people, places), all finite, are needed")
    level = (
        np.zeros(len(x), int) if within is None else np.unique(np.asarray(within).astype(str), return_inverse=True)[1]
    )
    levels = int(level.max(initial=0)) + 1
    free = len(x) - levels - 1
    x = _centred(x, level)
    own = _centred(group.astype(float)[:, None], level)[:, 0]
    if free < 1 or not own.any():
        raise ValueError(
            "the groups cannot be compared: each level holds one of them alone, or there are too few people"
        )
    total, squares = _labellings(group, level), (x**2).sum(axis=0)
    varies = squares > 1e-12 * np.abs(values).max(initial=1e-300) ** 2
    named = _all_labellings(group, level) if total <= draws else _some_labellings(group, level, draws, seed)
    weights = _centred(named.T.astype(float), level).T  # (labellings, people)
    size = (own**2).sum()  # alike in all: as many of each group in each level

    def t_of(g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        slope = g @ x / size
        rest = np.maximum(squares - slope**2 * size, 1e-12 * np.maximum(squares, 1e-300))
        return slope, slope / np.sqrt(rest / free / size)

    difference, t = (rows[0] for rows in t_of(own[None]))
    single, family = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for part in np.array_split(weights, max(1, weights.shape[0] * x.shape[1] // AT_ONCE)):
        drawn = np.abs(t_of(part)[1])
        single += (drawn >= np.abs(t) - 1e-9).sum(axis=0)
        largest = np.sort(drawn[:, varies].max(axis=1) if varies.any() else np.zeros(len(part)))
        family += len(part) - np.searchsorted(largest, np.abs(t) - 1e-9)
    if total > draws:
        single, family, total = single + 1, family + 1, draws + 1
    p, p_family = (np.where(varies, counts / total, np.nan) for counts in (single, family))
    return MapTest(
        difference, np.where(varies, t, np.nan), p, p_family, false_discovery(p), len(x), smallest_p(group, level)
    )


def smallest_p(first: Sequence[bool] | np.ndarray, within: Sequence[object] | np.ndarray | None = None) -> float:
    """The smallest p that a permutation of these people's groups can give, level by level of ``within``: where it is
    above 0.05, nothing can be found at that level, whatever the maps are."""
    group = np.asarray(first, bool)
    level = np.zeros(len(group), int) if within is None else np.asarray(within).astype(str)
    even = all(2 * group[level == k].sum() == (level == k).sum() for k in np.unique(level))
    return (2 if even else 1) / _labellings(group, level)  # of equal groups, the exchanged ones are as far apart


def _labellings(first: np.ndarray, level: np.ndarray) -> int:
    """In how many ways the names of two groups can be given to these people."""
    return math.prod(math.comb(int((level == k).sum()), int(first[level == k].sum())) for k in np.unique(level))


def _all_labellings(first: np.ndarray, level: np.ndarray) -> np.ndarray:
    """``(labellings, people)`` bool."""
    parts = []
    for k in np.unique(level):
        who = np.flatnonzero(level == k)
        parts.append([who[list(chosen)] for chosen in itertools.combinations(range(len(who)), int(first[who].sum()))])
    out = np.zeros((math.prod(map(len, parts)), len(first)), bool)
    for row, chosen in zip(out, itertools.product(*parts), strict=True):
        row[np.concatenate(chosen)] = True
    return out


def _some_labellings(first: np.ndarray, level: np.ndarray, draws: int, seed: int) -> np.ndarray:
    rng, out = np.random.default_rng(seed), np.zeros((draws, len(first)), bool)
    for k in np.unique(level):
        who = np.flatnonzero(level == k)
        out[:, who] = rng.permuted(np.tile(first[who], (draws, 1)), axis=1)
    return out


def _centred(x: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Less the mean of each level, ``(people, places)``."""
    out = np.array(x, float)
    for k in np.unique(level):
        out[level == k] -= out[level == k].mean(axis=0)
    return out


def bootstrap_map(
    values: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    groups: Sequence[object] | np.ndarray | None = None,
    seed: int = 0,
    draws: int = 1000,
    level: float = 0.95,
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile intervals at each place of a map, by resampling people. **Each place by itself**: over many places
    some intervals miss by chance.

    Args:
        values: ``(people, places)``: one map a person.
        weights: ``(people,)``: the estimate is their product with the values; 1/n, the mean, unless given. A
            difference of two groups has 1/n₁ and -1/n₂.
        groups: People are resampled within each; weights must be the same within one.

    Returns:
        Lower and upper ends ``(places,)``; NaN for fewer than two people in any group.
    """
    x = np.asarray(values, float)
    n = len(x)
    w = np.full(n, 1 / max(n, 1)) if weights is None else np.asarray(weights, float)
    named = np.zeros(n, int) if groups is None else np.unique(np.asarray(groups).astype(str), return_inverse=True)[1]
    parts = [np.flatnonzero(named == k) for k in np.unique(named)]
    if not parts or min(map(len, parts)) < 2:
        return np.full(x.shape[1], np.nan), np.full(x.shape[1], np.nan)
    rng, drawn = np.random.default_rng(seed), np.zeros((draws, n))
    for who in parts:
        if np.ptp(w[who]) > 1e-12 * np.abs(w).max():
            raise ValueError("weights differ within a group that is resampled")
        drawn[:, who] = rng.multinomial(len(who), np.full(len(who), 1 / len(who)), size=draws) * w[who]
    low, high = np.empty(x.shape[1]), np.empty(x.shape[1])
    for places in np.array_split(np.arange(x.shape[1]), max(1, draws * x.shape[1] // AT_ONCE)):
        low[places], high[places] = np.quantile(drawn @ x[:, places], [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high
