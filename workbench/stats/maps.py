"""Tests at many places at once: a map of paired differences over people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.stats.paired import false_discovery

EXACT = 12  # people: up to 2¹² sign patterns are all tried


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
    for part in np.array_split(signs, max(1, len(signs) * d.shape[1] // 20_000_000)):
        drawn = np.abs(_t(d, part))
        single += (drawn >= np.abs(own) - 1e-9).sum(axis=0)
        largest = drawn[:, varies].max(axis=1) if varies.any() else np.zeros(len(part))
        family += (largest[:, None] >= np.abs(own) - 1e-9).sum(axis=0)
    if n > EXACT:
        single, family, total = single + 1, family + 1, len(signs) + 1
    else:
        total = len(signs)
    p, p_family = (np.where(varies, counts / total, np.nan) for counts in (single, family))
    return MapTest(d.mean(axis=0), np.where(varies, own, np.nan), p, p_family, false_discovery(p), n)


def _t(d: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """t of each place for each pattern of signs, ``(patterns, places)``; the sum of squares is the same for all."""
    n = len(d)
    mean, squares = signs @ d / n, (d**2).mean(axis=0)
    spread = np.sqrt(np.maximum(squares - mean**2, 1e-12 * np.maximum(squares, 1e-300)) / (n - 1))
    return mean / spread
