"""Change per year with planted slopes: each person's own, the mixed model, and where it cannot be fitted."""

import numpy as np
import pytest

from workbench.stats.slopes import BOTH, OWN, change_per_year, own_slopes


def planted(people: int, times: int, slope: float = -1.0, spread: float = 0.3, group: float = 0.0, seed: int = 0):
    """Values, years, people, first of two groups, age at first; people of other ages differ by -0.5 a year."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), times)
    years = np.tile(2.0 * np.arange(times), people) + rng.uniform(0, 0.5, people * times)
    years -= years.reshape(people, times)[:, 0].repeat(times)
    first, age = np.arange(people) % 2 == 0, rng.uniform(55, 85, people)
    own = slope + rng.normal(0, spread, people) + group * first
    level = 100 - 0.5 * (age - 70) + rng.normal(0, 3, people)
    return level[who] + own[who] * years + rng.normal(0, 0.3, len(who)), years, who, first[who], age[who]


def test_the_planted_change_is_within_the_interval_and_apart_from_what_ages_differ_by():
    values, years, people, _, age = planted(24, 3, seed=1)
    found = change_per_year(values, years, people, age=age)
    assert found.method == BOTH and found.low < -1.0 < found.high and found.high < -0.7
    assert found.spread == pytest.approx(0.3, abs=0.15) and (found.people, found.rows) == (24, 72)
    assert found.across_low < -0.5 < found.across_high < 0


def test_of_a_balanced_design_it_is_the_t_test_of_own_slopes():
    """Laird & Ware: where everybody has the same times, the fixed slope is the mean of the people's own."""
    values, _, people, _, _ = planted(10, 4, seed=3)
    years = np.tile([0.0, 1.0, 2.0, 3.0], 10)
    values = values + 0.7 * years
    found, (_, own) = change_per_year(values, years, people), own_slopes(values, years, people)
    half = 2.262157 * own.std(ddof=1) / np.sqrt(10)  # Student's t with 9 degrees of freedom
    assert found.method == BOTH and found.estimate == pytest.approx(own.mean(), abs=1e-3)
    assert found.high - found.estimate == pytest.approx(half, rel=0.02)


def test_how_much_more_one_group_changes_than_the_other():
    values, years, people, first, age = planted(20, 3, group=-0.8)
    found = change_per_year(values, years, people, first=first, age=age)
    assert found.method == BOTH and found.low < -0.8 < found.high < 0
    turned = change_per_year(values, years, people, first=~first, age=age)
    assert turned.estimate == pytest.approx(-found.estimate, abs=1e-3)


def test_two_measurements_of_everybody_leave_own_slopes():
    values, years, people, first, _ = planted(20, 2, group=-0.8)
    found = change_per_year(values, years, people)
    assert found.method == OWN and "as many as the rows" in found.why and found.low < -1.4 < found.high
    apart = change_per_year(values, years, people, first=first)
    assert apart.method == OWN and apart.low < -0.8 < apart.high and np.isnan(apart.spread)


def test_nothing_is_said_of_two_people_and_lines_without_error_are_no_fault():
    values, years, people, *_ = planted(2, 3)
    with pytest.raises(ValueError, match="2 people"):
        change_per_year(values, years, people)
    _, years, people, *_ = planted(6, 3)
    exact = change_per_year(2.0 * years, years, people)
    assert exact.estimate == pytest.approx(2) and exact.method == OWN and exact.p < 1e-6
