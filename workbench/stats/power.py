"""Before a run: what so many people and pretrainings would show."""

from __future__ import annotations

import math

import scipy

from workbench.stats.paired import paired_power

MOST = 100_000


def study_power(
    difference: float, spread: float, people: int, *, seed_spread: float = 0.0, seeds: int = 1, alpha: float = 0.05
) -> float:
    """Power to show a true mean ``difference`` between two arms.

    Its error has the variance spread² / people + seed_spread² / seeds, its degrees of freedom are Satterthwaite's, as
    in ``two_level_interval``; with no spread between pretrainings it is the paired t test.

    Args:
        spread: Standard deviation between people of the paired difference.
        seed_spread: Standard deviation between pretrainings of the mean difference; 0 leaves it out, and then the
            power holds for these pretrainings alone.

    Raises:
        ValueError: fewer than two people, or a spread between pretrainings of which there is one.
    """
    if people < 2 or spread < 0 or seed_spread < 0:
        raise ValueError("two people or more, and spreads that are not below 0, are needed")
    if seed_spread and seeds < 2:
        raise ValueError("from one pretraining nothing is learnt of their spread: give two seeds or more")
    if spread == 0 and seed_spread == 0:
        return 1.0 if difference else alpha
    if not seed_spread:
        return paired_power(difference / spread, people, alpha=alpha)
    a, b = spread**2 / people, seed_spread**2 / seeds
    df = (a + b) ** 2 / (a**2 / (people - 1) + b**2 / (seeds - 1))
    edge, shift = scipy.stats.t.ppf(1 - alpha / 2, df), difference / math.sqrt(a + b)
    return float(scipy.stats.nct.sf(edge, df, shift) + scipy.stats.nct.cdf(-edge, df, shift))


def people_needed(
    difference: float,
    spread: float,
    *,
    power: float = 0.8,
    seed_spread: float = 0.0,
    seeds: int = 1,
    alpha: float = 0.05,
) -> int | None:
    """The fewest people with whom a true ``difference`` is shown with ``power``; None where no number of people is
    enough, since so few pretrainings differ too much among themselves."""

    def enough(n: int) -> bool:
        return study_power(difference, spread, n, seed_spread=seed_spread, seeds=seeds, alpha=alpha) >= power

    high = 2
    while not enough(high):
        high *= 2
        if high > MOST:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if middle >= 2 and enough(middle) else (middle, high)
    return high


def equivalence_power(
    margin: float, spread: float, people: int, *, difference: float = 0.0, alpha: float = 0.05
) -> float:
    """Power to show that a difference is within ± ``margin`` where it truly is ``difference`` (normal approximation of
    the two one-sided tests, Chow, Shao & Wang 2008, Sample Size Calculations, 3.2): Φ of both ends, at least 0."""
    if not margin > 0 or people < 2 or not spread > 0:
        raise ValueError("a margin and a spread above 0, and two people or more, are needed")
    error, edge = spread / math.sqrt(people), scipy.stats.norm.ppf(1 - alpha)
    ends = [(margin - difference) / error - edge, (margin + difference) / error - edge]
    return max(0.0, float(scipy.stats.norm.cdf(ends).sum() - 1))
