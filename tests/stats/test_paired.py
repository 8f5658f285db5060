import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from workbench.stats import (
    cohens_dz,
    detectable_difference,
    holm,
    paired_power,
    rank_biserial,
    sign_flip_p,
    wilcoxon_p,
)

# Darwin's fifteen pairs of Zea mays, crossed minus self-fertilised, eighths of an inch
DARWIN = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48])


def test_fishers_own_example_of_the_permutation_test():
    """Fisher (1935, The Design of Experiments, § 21): 863 of the 2¹⁵ sign patterns reach the observed sum in one
    tail, p = 5.267 % two-sided."""
    assert sign_flip_p(DARWIN) == pytest.approx(2 * 863 / 2**15)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_the_exact_p_is_the_share_of_sign_patterns(values):
    d = np.array(values, float) / 10
    sums = np.array([(d * s).sum() for s in itertools.product([-1, 1], repeat=len(d))])
    share = np.mean(np.abs(sums) >= abs(d.sum()) - 1e-9)
    assert sign_flip_p(d) == pytest.approx(share)


def test_many_people_are_drawn_at_random_and_agree_with_the_t_test():
    d = np.random.default_rng(0).normal(0.25, 1, 60)
    assert sign_flip_p(d) == pytest.approx(stats.ttest_1samp(d, 0).pvalue, abs=0.02)
    assert sign_flip_p(d, seed=1) == sign_flip_p(d, seed=1)
    assert sign_flip_p(d + 5) == pytest.approx(2 / 20_001, rel=0.01)  # never 0


def test_wilcoxon_is_scipys_and_nothing_is_no_difference():
    assert wilcoxon_p(DARWIN) == pytest.approx(stats.wilcoxon(DARWIN).pvalue)
    assert wilcoxon_p(np.zeros(4)) == 1 and sign_flip_p(np.zeros(4)) == 1
    assert math.isnan(wilcoxon_p(np.array([]))) and math.isnan(sign_flip_p(np.array([math.nan])))


def test_holm_on_his_worked_numbers():
    """p = 0.01, 0.04, 0.03, 0.005 → 0.03, 0.06, 0.06, 0.02 (as R's p.adjust); the order is kept."""
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.02, math.nan, 0.9]), [0.04, math.nan, 0.9])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_the_raw_p_and_bonferronis_and_keeps_the_order(p):
    corrected = holm(p)
    assert (corrected >= np.array(p) - 1e-12).all()
    assert (corrected <= np.minimum(np.array(p) * len(p), 1) + 1e-12).all()
    assert (np.diff(corrected[np.argsort(p, kind="stable")]) >= -1e-12).all()


def test_effect_sizes():
    d = np.array([1.0, 2.0, -3.0, 4.0, 0.0])
    assert cohens_dz(d) == pytest.approx(stats.ttest_1samp(d, 0).statistic / math.sqrt(5))
    assert rank_biserial(d) == pytest.approx((1 + 2 + 4 - 3) / 10)
    assert rank_biserial(np.array([1.0, 2])) == 1 and rank_biserial(np.array([-1.0])) == -1
    assert cohens_dz(np.full(3, 0.2)) == math.inf and cohens_dz(np.zeros(3)) == 0


def test_two_people_leave_the_detectable_difference_open():
    assert math.isnan(detectable_difference([0.1, 0.2]))  # and does not end a study with an error


def test_power_and_detectable_difference_of_gpowers_example():
    """Paired t, two-sided, dz 0.5, α 0.05: 34 pairs have power 0.8078 (Faul et al. 2007, G*Power)."""
    assert paired_power(0.5, 34) == pytest.approx(0.8078, abs=5e-4)
    rng = np.random.default_rng(0)
    d = rng.normal(size=34)
    d = (d - d.mean()) / d.std(ddof=1) * 3
    found = detectable_difference(d)
    assert paired_power(found / 3, 34) == pytest.approx(0.8) and found < 0.5 * 3
    rough = (stats.t.ppf(0.975, 33) + stats.t.ppf(0.8, 33)) * 3 / math.sqrt(34)
    assert found == pytest.approx(rough, rel=0.02)
    assert math.isnan(detectable_difference(np.array([1.0])))
