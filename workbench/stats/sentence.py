"""Two arms compared, and the sentence that may be said of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workbench.html import facts_table
from workbench.stats.by_person import paired_people
from workbench.stats.interval import Interval, bootstrap_interval, two_level_interval
from workbench.stats.paired import cohens_dz, detectable_difference, rank_biserial, sign_flip_p, wilcoxon_p

FEW = 10  # people: below, bootstrap intervals are known to be too narrow


@dataclass(frozen=True)
class Comparison:
    """Arm a minus arm b on the same people."""

    interval: Interval
    """Of the mean difference."""
    mean_a: float
    mean_b: float
    p: float
    """Of the people, for these pretrainings; not corrected."""
    test: str
    dz: float
    rank_biserial: float
    detectable: float
    """Difference that n and spread would have shown with 80 % power."""

    def _repr_html_(self) -> str:
        """For a notebook's cell: the difference with its interval, and what it rests on."""
        found, level = self.interval, f"{100 * self.interval.level:g} % interval"
        return facts_table(
            "Comparison: a minus b, by person",
            {
                "difference": f"{found.estimate:+.3f}",
                level: f"{found.low:+.3f} to {found.high:+.3f}",
                "people": found.n,
                "pretrainings": found.seeds,
                "mean of a": f"{self.mean_a:.3f}",
                "mean of b": f"{self.mean_b:.3f}",
                f"p ({self.test}, not corrected)": f"{self.p:.3g}",
                "effect size dz": f"{self.dz:+.2f}",
                "rank-biserial correlation": f"{self.rank_biserial:+.2f}",
                "found in four of five such samples": f"a difference of {self.detectable:.3f}",
            },
        )


def compare(
    a: np.ndarray,
    people_a: Sequence[object] | np.ndarray,
    b: np.ndarray,
    people_b: Sequence[object] | np.ndarray,
    *,
    seeds_a: Sequence[object] | np.ndarray | None = None,
    seeds_b: Sequence[object] | np.ndarray | None = None,
    test: Literal["permutation", "wilcoxon"] = "permutation",
    seed: int = 0,
    level: float = 0.95,
) -> Comparison:
    """Paired comparison of two arms; rows of a person (scans, folds) are averaged first.

    Args:
        a, b: One value a row. Only people with values in both arms are compared.
        people_a, people_b: Whose each row is.
        seeds_a, seeds_b: Which pretraining each row came from. With several, seeds are paired by name and the interval
            has their variation in it (``two_level_interval(method="t")``: a study has few seeds).
        test: Of the people's mean differences.
        level: Coverage of the interval.
    """
    if (seeds_a is None) != (seeds_b is None):
        raise ValueError("give the seeds of both arms or of none")
    _, mean_a, mean_b = paired_people(a, people_a, b, people_b)
    d = mean_a - mean_b
    if seeds_a is None or seeds_b is None:
        interval = bootstrap_interval(d, seed=seed, level=level)
    else:
        values, who, which = _differences_by_seed(a, people_a, seeds_a, b, people_b, seeds_b)
        interval = two_level_interval(values, who, which, method="t", seed=seed, level=level)
    p = sign_flip_p(d, seed=seed) if test == "permutation" else wilcoxon_p(d)
    return Comparison(
        interval, _mean(mean_a), _mean(mean_b), p, test, cohens_dz(d), rank_biserial(d), detectable_difference(d)
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan


def _differences_by_seed(a, people_a, seeds_a, b, people_b, seeds_b) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    a, b = np.asarray(a, float), np.asarray(b, float)
    seeds_a, seeds_b = np.asarray(seeds_a), np.asarray(seeds_b)
    shared = np.intersect1d(seeds_a, seeds_b)
    if set(shared.tolist()) != set(seeds_a.tolist()) | set(seeds_b.tolist()):
        raise ValueError("the arms do not have the same seeds: differences of other pretrainings are not paired")
    values, who, which = [], [], []
    for one in shared:
        names, x, y = paired_people(
            a[seeds_a == one],
            np.asarray(people_a)[seeds_a == one],
            b[seeds_b == one],
            np.asarray(people_b)[seeds_b == one],
        )
        values.append(x - y)
        who.append(names)
        which.append(np.full(len(names), one))
    return np.concatenate(values), np.concatenate(who), np.concatenate(which)


def counted(number: int, one: str, many: str = "") -> str:
    """ "1 person", "3 people"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def bracketed(estimate: float, low: float, high: float, say: Callable[[float], str]) -> str:
    """ "0.71 [0.66, 0.76]"; without brackets where there is no interval, "" where there is no estimate."""
    ends = f" [{say(low)}, {say(high)}]" if np.isfinite([low, high]).all() else ""
    return f"{say(estimate)}{ends}" if math.isfinite(estimate) else ""


def estimate(interval: Interval, what: str, *, digits: int, unit: str = "") -> str:
    """What was found, with its interval and n: "Dice 0.712 [0.655, 0.768], n = 15"."""

    def say(value: float) -> str:
        return f"{value:.{digits}f}".replace("-", "−")

    told = bracketed(interval.estimate, interval.low, interval.high, say)
    if not told:
        return f"{what}: nothing can be said, n = {interval.n}"
    if not math.isfinite(interval.low):
        few = ", which leaves no interval"
    else:
        few = " (few: the interval is too narrow)" if interval.n < FEW else ""
    return f"{what} {told}{f' {unit}' if unit else ''}, n = {interval.n}{few}"


def verdict(
    interval: Interval,
    *,
    a: str,
    b: str,
    what: str,
    p: float | None = None,
    comparisons: int = 1,
    detectable: float | None = None,
    scale: float = 1.0,
    digits: int = 3,
    alpha: float = 0.05,
    marks: Sequence[str] = (),
    less_is_better: bool = False,
    pretrained_once: str = "",
) -> str:
    """What may be said of ``a − b``, from its interval; never more than the interval says.

    A difference is called shown only if the interval excludes 0 and p, where given, is below ``alpha``.

    Args:
        interval: Of the difference.
        a, b: Names of the arms.
        what: The quantity, with its unit ("Dice points", "AUROC").
        p: Two-sided, corrected for ``comparisons``.
        comparisons: How many the correction was for.
        detectable: What the sample would have shown with 80 % power, in the unit of the interval.
        scale: Multiplies every number shown (100 for Dice points).
        marks: What must stand beside every number ("simulated data", "transductive").
        less_is_better: It is told where a difference is shown: who reads "higher" of an error may take it for praise.
        pretrained_once: The arm, if it is one, that was pretrained once and is beside each pretraining of the other.
    """

    def number(value: float, sign: str = "+") -> str:
        text = f"{value * scale:{sign}.{digits}f}"
        return ("±" + text[1:] if float(text) == 0 and text[0] in "+-" else text).replace("-", "−")

    head = f"{' · '.join(marks)}: " if marks else ""
    people = f"n = {interval.n} {'person' if interval.n == 1 else 'people'}"
    if not math.isfinite(interval.low) or not math.isfinite(interval.high):
        return f"{head}nothing can be said of {what} ({a} − {b}): {people}, which leaves no interval."
    p_text = "" if p is None else f", p {_p(p)}" + (f" (Holm, {comparisons} comparisons)" if comparisons > 1 else "")
    of = f" of {b if pretrained_once == a else a}, one of {pretrained_once}" if pretrained_once else ""
    numbers = (
        f"{a} − {b} = {number(interval.estimate)} {what} ({100 * interval.level:g} % interval "
        f"{number(interval.low)} to {number(interval.high)}, {people}"
        + (f", {interval.seeds} pretrainings{of}" if interval.seeds > 1 else "")
        + p_text
        + ")"
    )
    rejected = p is None or p < alpha
    if interval.excludes(0.0) and rejected:
        higher = "higher" if interval.estimate > 0 else "lower"
        said = f"{a} is {higher} than {b}{', and less is better' if less_is_better else ''}: {numbers}."
    elif interval.excludes(0.0):
        said = f"no difference shown: {numbers}; the interval excludes 0, the test does not reject."
    else:
        said = f"no difference shown: {numbers}" + (
            "; p is small, but the interval includes 0." if p is not None and rejected else "."
        )
        if detectable is not None and math.isfinite(detectable) and float(f"{detectable * scale:.{digits}f}"):
            said += (
                f" A true difference of {number(detectable, '')} would have been found in four of five such "
                "samples, a smaller one less often."
            )
    if interval.n < FEW:
        said += f" With fewer than {FEW} people the interval is too narrow to be trusted."
    return head + said


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"
