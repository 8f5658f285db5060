import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from workbench.stats import auroc, bootstrap_interval, paired_people, person_means, two_level_interval


def test_the_mean_is_taken_within_a_person_first():
    names, means = person_means(np.array([1.0, 3.0, 10.0, math.nan]), ["b", "b", "a", "c"])
    assert names.tolist() == ["a", "b"] and means.tolist() == [10.0, 2.0]


@given(st.integers(1, 6))
@settings(max_examples=5, deadline=None)
def test_repeats_of_people_are_not_new_people(times):
    values = np.random.default_rng(0).normal(0.8, 0.05, 12)
    once = bootstrap_interval(values, draws=500)
    often = bootstrap_interval(np.repeat(values, times), np.repeat(np.arange(12), times), draws=500)
    assert (often.low, often.high, often.n) == (pytest.approx(once.low), pytest.approx(once.high), 12)


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_it_agrees_with_scipy(method):
    values = np.random.default_rng(0).lognormal(size=25)
    ours = bootstrap_interval(values, method=method, seed=3)
    theirs = stats.bootstrap((values,), np.mean, method=method, n_resamples=10_000, rng=np.random.default_rng(1))
    assert ours.low < values.mean() < ours.high
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.03)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.06)


def test_bca_of_efron_and_tibshiranis_worked_example():
    """Spatial test data, variance with divisor n: 90 % intervals (100.8, 233.9) percentile, (115.8, 259.6) BCa
    (Efron & Tibshirani 1993, table 14.2; 2000 draws, so the second digit wanders)."""
    a = [48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6, 0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26, 30, 41]
    percentile = bootstrap_interval(np.array(a), statistic=np.var, level=0.9, draws=4000)
    bca = bootstrap_interval(np.array(a), statistic=np.var, level=0.9, method="BCa", draws=4000)
    assert percentile.estimate == pytest.approx(171.5, abs=0.05)
    assert (percentile.low, percentile.high) == (pytest.approx(100.8, abs=5), pytest.approx(233.9, abs=5))
    assert (bca.low, bca.high) == (pytest.approx(115.8, abs=5), pytest.approx(259.6, abs=8))


def test_any_statistic_and_strata_that_keep_their_sizes():
    """An AUROC of 3 against 40 people: without strata some resamples would hold one class alone."""
    rng = np.random.default_rng(0)
    truth = np.arange(43) < 3
    scores = rng.normal(size=43) + truth
    counts = set()

    def statistic(rows):
        counts.add(int(rows[:, 1].sum()))
        return auroc(rows[:, 0], rows[:, 1] > 0.5)

    found = bootstrap_interval(np.column_stack([scores, truth]), statistic=statistic, strata=truth, draws=300)
    assert counts == {3} and math.isfinite(found.low) and found.low <= found.estimate <= found.high
    with pytest.raises(ValueError, match="stratum of one person"):
        bootstrap_interval(scores, strata=np.arange(43) < 1)
    with pytest.raises(ValueError, match="two strata"):
        bootstrap_interval(scores[:3], ["a", "a", "b"], strata=["x", "y", "y"])
    with pytest.raises(ValueError, match="one name a row"):
        bootstrap_interval(scores, ["a"])


def test_too_few_people_and_people_all_alike():
    one = bootstrap_interval(np.array([0.5, 0.7]), ["a", "a"])
    assert math.isnan(one.low) and math.isnan(one.high) and one.n == 1 and one.estimate == pytest.approx(0.6)
    for method in ("percentile", "BCa"):
        same = bootstrap_interval(np.full(5, 0.25), method=method, draws=100)
        assert same.low == same.high == pytest.approx(0.25)


def _crossed(rng, seeds, people, sd_seed, sd_person, sd_rest):
    table = (
        rng.normal(0, sd_seed, (seeds, 1))
        + rng.normal(0, sd_person, (1, people))
        + rng.normal(0, sd_rest, (seeds, people))
    )
    who, which = np.meshgrid(np.arange(people), np.arange(seeds))
    return table.ravel(), who.ravel(), which.ravel()


@pytest.mark.parametrize(("method", "least"), [("bootstrap", 0.78), ("t", 0.92)])
def test_the_variation_of_the_pretraining_is_in_the_interval(method, least):
    """Four seeds that differ as much as people do: how often the interval holds the truth. Of people alone: rarely."""
    rng, hits, people_only, rounds = np.random.default_rng(0), 0, 0, 300
    for _ in range(rounds):
        values, who, which = _crossed(rng, 4, 20, 1.0, 1.0, 0.5)
        found = two_level_interval(values, who, which, method=method, draws=400)
        hits += found.low < 0 < found.high
        plain = bootstrap_interval(values, who, draws=200)
        people_only += plain.low < 0 < plain.high
    assert hits / rounds > least and people_only / rounds < 0.7


def test_three_seeds_show_all_of_their_variance():
    """Seeds alone differ: the spread of the resampled means is that of a mean of three, not two thirds of it."""
    table = np.array([[0.0], [1.0], [5.0]]) + np.zeros((3, 400))
    who, which = np.meshgrid(np.arange(400), np.arange(3))
    found = two_level_interval(table.ravel(), who.ravel(), which.ravel())
    spread = table[:, 0].std(ddof=1) / math.sqrt(3)
    # the lowest of the 27 draws is the lowest seed three times over: mean + √(3/2) · its deviation
    assert found.low == pytest.approx(2 + math.sqrt(1.5) * (0 - 2)) and found.high > 2 + 1.5 * spread


def test_one_seed_gives_the_interval_of_people_and_says_so():
    values, who, which = _crossed(np.random.default_rng(1), 1, 15, 0, 1, 0)
    two, one = two_level_interval(values, who, which), bootstrap_interval(values, who)
    assert (two.low, two.high, two.seeds) == (one.low, one.high, 1)


def test_people_who_miss_a_seed_are_left_out_of_the_crossed_interval():
    values, who, which = _crossed(np.random.default_rng(1), 3, 10, 1, 1, 1)
    assert two_level_interval(values[:-1], who[:-1], which[:-1]).n == 9


def test_pairs_are_found_by_name_whatever_the_order():
    names, a, b = paired_people(np.array([1.0, 2, 3]), ["x", "y", "z"], np.array([30.0, 10.0]), ["z", "x"])
    assert names.tolist() == ["x", "z"] and a.tolist() == [1, 3] and b.tolist() == [10, 30]
