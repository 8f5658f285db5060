import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.stats import Interval, compare, verdict

NAMES = {"a": "pretrained", "b": "random", "what": "Dice points"}


def test_the_sentence_of_an_interval_that_includes_zero():
    said = verdict(Interval(0.3, -0.4, 1.1, 24), **NAMES, p=0.41, comparisons=3, detectable=1.2, digits=1)
    assert said == (
        "no difference shown: pretrained − random = +0.3 Dice points (95 % interval −0.4 to +1.1, "
        "n = 24 people, p = 0.41 (Holm, 3 comparisons)). A true difference of 1.2 would have been found in "
        "four of five such samples, a smaller one less often."
    )


def test_the_sentence_of_an_interval_that_excludes_zero():
    said = verdict(Interval(-3.1, -5.0, -1.2, 30, seeds=3), **NAMES, p=0.0004, digits=1, marks=["simulated data"])
    assert said == (
        "simulated data: pretrained is lower than random: pretrained − random = −3.1 Dice points (95 % "
        "interval −5.0 to −1.2, n = 30 people, 3 pretrainings, p < 0.001)."
    )


def test_of_an_error_it_says_that_less_is_better():
    worse = verdict(Interval(15.0, 8.6, 21.4, 24), a="volta", b="random", what="years", less_is_better=True)
    assert worse.startswith("volta is higher than random, and less is better: ")
    none = verdict(Interval(3.0, -17.9, 23.9, 32), a="volta", b="random", what="years", less_is_better=True)
    assert "less is better" not in none


ends = st.floats(-2, 2, allow_nan=False)


@given(ends, ends, st.floats(0, 1) | st.none(), st.integers(2, 60))
def test_it_never_says_more_than_the_interval(x, y, p, n):
    interval = Interval((x + y) / 2, min(x, y), max(x, y), n)
    said = verdict(interval, **NAMES, p=p)
    shown = "no difference shown" not in said
    assert shown == (interval.excludes(0) and (p is None or p < 0.05))
    assert not shown or ("is higher" in said) == (interval.low > 0)
    assert f"n = {n} people" in said and ("too narrow" in said) == (n < 10)


def test_a_significant_p_does_not_overrule_the_interval_nor_the_other_way():
    assert "the interval includes 0" in verdict(Interval(0.3, -0.1, 0.7, 20), **NAMES, p=0.04)
    assert "the test does not reject" in verdict(Interval(0.3, 0.1, 0.5, 20), **NAMES, p=0.06)


def test_one_person_proves_nothing():
    assert verdict(Interval(0.3, math.nan, math.nan, 1), **NAMES).startswith("nothing can be said")


def rows(rng, effect, n=30, repeats=2):
    people = np.repeat(np.arange(n), repeats)
    base = rng.normal(0.8, 0.05, n)[people]
    return base + effect + rng.normal(0, 0.01, len(people)), base, people


def test_a_planted_effect_is_found_and_none_is_not():
    rng = np.random.default_rng(0)
    a, b, people = rows(rng, 0.03)
    found = compare(a, people, b, people)
    assert found.interval.excludes(0) and found.p < 0.001 and found.interval.n == 30
    assert found.mean_a - found.mean_b == pytest.approx(found.interval.estimate) and found.dz > 1
    a, b, people = rows(rng, 0.0)
    none = compare(a, people, b, people)
    assert not none.interval.excludes(0) and none.p > 0.05 and none.detectable < 0.01
    assert compare(a, people, b, people, test="wilcoxon").test == "wilcoxon"


def test_seeds_that_disagree_take_a_gain_away():
    """Three pretrainings, of which one gains a lot: people alone would call it shown."""
    rng = np.random.default_rng(0)
    people = np.tile(np.arange(30), 3)
    seeds = np.repeat(["s0", "s1", "s2"], 30)
    gain = np.repeat([0.09, 0.0, -0.01], 30)
    b = rng.normal(0.8, 0.05, 90)
    a = b + gain + rng.normal(0, 0.01, 90)
    naive = compare(a, people, b, people)
    honest = compare(a, people, b, people, seeds_a=seeds, seeds_b=seeds)
    assert naive.interval.excludes(0) and not honest.interval.excludes(0) and honest.interval.seeds == 3
    with pytest.raises(ValueError, match="same seeds"):
        compare(a, people, b, people, seeds_a=seeds, seeds_b=np.repeat(["s0", "s1", "s3"], 30))
