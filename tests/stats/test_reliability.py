"""Intraclass correlations against published examples, shares of variance against planted ones, recognition."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from workbench.stats.reliability import discriminability, icc, identified, shares, variance_parts

# Shrout & Fleiss 1979, table 2: six targets, four judges
TABLE = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)


def test_icc_of_shrout_and_fleiss():
    found = icc(TABLE)
    assert found.agreement[0] == pytest.approx(0.29, abs=0.005)  # their table 4
    assert found.consistency[0] == pytest.approx(0.71, abs=0.005)
    # as R's psych and irr give them for these data
    assert (found.agreement_low[0], found.agreement_high[0]) == pytest.approx((0.019, 0.761), abs=0.0006)
    assert (found.consistency_low[0], found.consistency_high[0]) == pytest.approx((0.342, 0.946), abs=0.0006)


def test_a_shift_between_conditions_counts_against_agreement_alone_and_columns_are_apart():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(20, 3)) * 0.1 + rng.normal(size=(20, 1))
    found = icc(np.stack([one, one + 3 * np.arange(3), TABLE[0, 0] + 0 * one], axis=-1))
    assert found.consistency[1] == pytest.approx(found.consistency[0]) and found.agreement[1] < 0.2
    assert found.agreement[0] > 0.9 and found.agreement_low[0] < found.agreement[0] < found.agreement_high[0]
    assert np.isnan(found.agreement[2])  # nothing varies: nothing can be said
    with pytest.raises(ValueError, match="1 people"):
        icc(one[:1])


@pytest.mark.parametrize("truth", [(1.0, 0.0, 1.0), (2.0, 1.0, 0.5)])
def test_intervals_hold_what_was_planted_about_as_often_as_they_say(truth):
    person, condition, rest = truth
    rng, n, k, runs = np.random.default_rng(1), 15, 4, 600
    values = (
        rng.normal(0, person**0.5, (n, 1, runs))
        + rng.normal(0, condition**0.5, (1, k, runs))
        + rng.normal(0, rest**0.5, (n, k, runs))
    )
    found = icc(values)
    true = person / (person + condition + rest)
    held = (found.agreement_low <= true) & (true <= found.agreement_high)
    assert 0.88 < held.mean() < 0.985  # four conditions say little of all conditions: its docstring says about 90 %
    true = person / (person + rest)
    held = (found.consistency_low <= true) & (true <= found.consistency_high)
    assert 0.925 < held.mean() < 0.975


def test_variance_parts_are_the_analysis_of_variance_where_balanced():
    people, judges = np.repeat(np.arange(6), 4), np.tile(np.arange(4), 6)
    parts = variance_parts(TABLE.ravel(), {"person": people, "judge": judges})
    # mean squares of Shrout & Fleiss, table 3: 11.24, 32.49, 1.02
    assert parts["person"][0] == pytest.approx((11.24 - 1.02) / 4, abs=0.005)
    assert parts["judge"][0] == pytest.approx((32.49 - 1.02) / 6, abs=0.005)
    assert parts["rest"][0] == pytest.approx(1.02, abs=0.005)


def test_planted_shares_are_found_in_an_unbalanced_design_of_three_factors():
    rng = np.random.default_rng(2)
    n = 4000
    factors = {
        "person": rng.integers(0, 400, n),
        "scanner": rng.integers(0, 40, n) // (1 + rng.integers(0, 2, n)),
        "session": rng.integers(0, 30, n),
    }
    planted = {"person": 0.5, "scanner": 0.2, "session": 0.1, "rest": 0.2}
    y = rng.normal(0, planted["rest"] ** 0.5, (n, 60))
    for name, levels in factors.items():
        y += rng.normal(0, planted[name] ** 0.5, (levels.max() + 1, 60))[levels]
    found = shares(variance_parts(y, factors))
    assert found == pytest.approx(planted, abs=0.04) and sum(found.values()) == pytest.approx(1)


def test_what_cannot_be_told_apart_is_named():
    people, site = np.repeat(np.arange(5), 2), np.tile(["A", "B"], 5)
    y = np.arange(10.0)
    for factors, words in [
        ({"person": people, "site": site, "scanner": np.tile(["x", "y"], 5)}, "site and scanner go together"),
        ({"person": np.arange(10)}, "person and rest go together"),
        ({"person": people, "site": np.repeat("A", 10)}, "site is the same in all rows"),
    ]:
        with pytest.raises(ValueError, match=words):
            variance_parts(y, factors)


def test_people_are_recognised_as_far_as_they_are():
    rng = np.random.default_rng(3)
    people, site = np.repeat(np.arange(30), 3), np.tile(np.array(["A", "B", "C"]), 30)
    noise, own = rng.normal(size=(90, 8)), rng.normal(size=(30, 8))[people]
    apart = cdist(noise + 30 * own, noise + 30 * own)
    hit, chance = identified(apart, people, site)
    assert discriminability(apart, people).min() > 0.99 and hit.mean() == 1 and chance == pytest.approx(1 / 30)
    strangers = cdist(noise, noise)  # nobody is like himself: chance
    assert discriminability(strangers, people).mean() == pytest.approx(0.5, abs=0.06)
    assert identified(strangers, people, site)[0].mean() == pytest.approx(1 / 30, abs=0.05)
    alike = np.zeros((90, 90))  # all the same: ties count as their share
    assert discriminability(alike, people) == pytest.approx(0.5)
    assert identified(alike, people, site)[0] == pytest.approx(1 / 30)


def test_a_scanner_that_moves_everybody_alike_hides_them_among_all_scans_and_not_among_those_of_the_other():
    rng = np.random.default_rng(4)
    people, site = np.repeat(np.arange(20), 2), np.tile([0, 1], 20)
    vectors = rng.normal(size=(20, 6))[people] + 0.05 * rng.normal(size=(40, 6))
    vectors = np.column_stack([vectors, 50 * site])
    apart = cdist(vectors, vectors)
    assert discriminability(apart, people).mean() < 0.6  # whoever lay in the same scanner is nearer
    assert identified(apart, people, site)[0].mean() > 0.9  # among those of the other scanner it is still him
    once = np.arange(40)
    assert np.isnan(discriminability(apart, once)).all() and np.isnan(identified(apart, once, site)[0]).all()
