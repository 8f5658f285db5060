"""Two groups of maps: agreement with the tests of one place, what random maps give, what is planted."""

import numpy as np
import pytest
from scipy import stats

from workbench.stats import bootstrap_interval, bootstrap_map, smallest_p, two_group_map


def smooth(rng, people, side=7):
    """Random maps whose neighbours have much in common, ``(people, side³)``."""
    noise = rng.normal(size=(people, side + 2, side + 2, side + 2))
    near = noise[:, :-2] + noise[:, 1:-1] + noise[:, 2:]
    near = near[:, :, :-2] + near[:, :, 1:-1] + near[:, :, 2:]
    return (near[..., :-2] + near[..., 1:-1] + near[..., 2:]).reshape(people, -1)


@pytest.mark.parametrize("sizes", [(4, 5), (5, 5), (14, 9)])
def test_a_map_of_one_place_is_the_permutation_test_of_that_place(sizes):
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.8, 1, sizes[0]), rng.normal(0, 1, sizes[1])
    found = two_group_map(np.concatenate([a, b])[:, None], np.arange(sum(sizes)) < sizes[0], draws=4000)
    assert found.t[0] == pytest.approx(stats.ttest_ind(a, b).statistic) and found.mean[0] == pytest.approx(
        a.mean() - b.mean()
    )
    theirs = stats.permutation_test(
        (a, b),
        lambda x, y, axis: np.abs(stats.ttest_ind(x, y, axis=axis).statistic),
        vectorized=True,
        alternative="greater",
        n_resamples=4000,
        rng=rng,
    )
    exact = sum(sizes) < 11
    assert found.p[0] == pytest.approx(theirs.pvalue, abs=1e-9 if exact else 0.025) and found.p_family[0] == found.p[0]


def test_where_no_difference_is_the_family_of_200_maps_errs_as_rarely_as_it_says():
    rng, family, alone = np.random.default_rng(1), 0, []
    for k in range(200):
        maps = smooth(rng, 14, side=5)
        found = two_group_map(maps, np.arange(14) < 6, seed=k, draws=199)
        family += found.p_family.min() <= 0.05
        alone.append((found.p <= 0.05).mean())
    low, high = stats.binom.ppf([0.0005, 0.9995], 200, 0.05)
    assert low <= family <= high and np.mean(alone) == pytest.approx(0.05, abs=0.015)


def test_what_is_planted_is_found_there_and_nowhere_else():
    rng = np.random.default_rng(2)
    maps, first = smooth(rng, 30, side=6), np.arange(30) % 2 == 0
    corner = np.zeros((6, 6, 6), bool)
    corner[:2, :2, :2] = True
    maps[np.ix_(first, corner.ravel())] += 18
    maps = np.concatenate([maps, np.zeros((30, 1))], axis=1)  # a place where nothing varies
    found = two_group_map(maps, first, draws=1000)
    assert (found.p_family[:-1] <= 0.05).tolist() == corner.ravel().tolist()
    assert (found.mean[:-1][corner.ravel()] > 10).all() and np.isnan([found.t[-1], found.p_family[-1]]).all()
    assert (found.q[:-1][corner.ravel()] <= 0.05).all() and (found.p_family[:-1] >= found.p[:-1]).all()


def test_within_sites_a_difference_of_sites_is_no_difference_of_groups():
    rng = np.random.default_rng(3)
    site = np.repeat(["N", "S"], 20)
    first = np.concatenate([np.arange(20) < 16, np.arange(20) < 4])  # the groups are not alike at the sites
    maps = rng.normal(size=(40, 50)) + 3.0 * (site == "S")[:, None]
    assert two_group_map(maps, first, draws=300).p_family.min() <= 0.01
    assert two_group_map(maps, first, within=site, draws=300).p_family.min() > 0.05
    maps[np.ix_(first, range(3))] += 3
    found = two_group_map(maps, first, within=site, draws=300)
    assert (np.flatnonzero(found.p_family <= 0.05) == [0, 1, 2]).all() and found.mean[:3] == pytest.approx(3, abs=1)
    with pytest.raises(ValueError, match="each level holds one"):
        two_group_map(maps, site == "N", within=site)


def test_the_smallest_p_that_people_can_give():
    assert smallest_p([True, False, False]) == 1 / 3 and smallest_p([1, 1, 1, 0, 0, 0]) == 2 / 20
    assert smallest_p([1, 0, 1, 0, 0], ["a", "a", "b", "b", "b"]) == 1 / 6
    far = np.array([[5.0], [6.0], [7.0], [-5.0], [-6.0], [-7.0]])
    assert (
        two_group_map(far, [True] * 3 + [False] * 3).p_family[0]
        == 0.1
        == two_group_map(far, [1, 1, 1, 0, 0, 0]).smallest_p
    )


def test_intervals_of_a_map_are_those_of_its_places():
    rng = np.random.default_rng(4)
    maps, first = rng.normal([0, 1, 2], 1, (25, 3)), np.arange(25) < 10
    low, high = bootstrap_map(maps, draws=4000)
    for k in range(3):
        one = bootstrap_interval(maps[:, k])
        assert (low[k], high[k]) == (pytest.approx(one.low, abs=0.04), pytest.approx(one.high, abs=0.04))
    weights = np.where(first, 1 / 10, -1 / 15)
    low, high = bootstrap_map(maps, weights, groups=first, draws=4000)
    spread = np.sqrt(maps[first].var(axis=0) / 10 + maps[~first].var(axis=0) / 15)
    assert (high - low) / 2 == pytest.approx(1.96 * spread, rel=0.1)
    assert ((low + high) / 2) == pytest.approx(weights @ maps, abs=0.1)
    assert np.isnan(bootstrap_map(maps[:1])).all() and np.isnan(bootstrap_map(maps, groups=np.arange(25) == 0)).all()
