import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from workbench.stats import auroc, delong


def brute_force(scores, positive):
    """DeLong's components by their definition: every positive against every negative."""
    v10, v01 = [], []
    for s in scores:
        x, y = s[positive], s[~positive]
        psi = (x[:, None] > y) + 0.5 * (x[:, None] == y)
        v10.append(psi.mean(axis=1))
        v01.append(psi.mean(axis=0))
    return np.mean(v10, axis=1), np.cov(v10) / positive.sum() + np.cov(v01) / (~positive).sum()


@given(seed=st.integers(0, 10_000), levels=st.integers(2, 30), m=st.integers(2, 12), n=st.integers(2, 12))
@settings(max_examples=60, deadline=None)
def test_fast_delong_is_the_definition_also_with_ties(seed, levels, m, n):
    rng = np.random.default_rng(seed)
    scores, positive = rng.integers(levels, size=(2, m + n)).astype(float), rng.permutation(m + n) < m
    theta, covariance = brute_force(scores, positive)
    found = delong(scores[0], scores[1], positive)
    assert (found.a, found.b) == (pytest.approx(theta[0]), pytest.approx(theta[1]))
    contrast = np.array([1, -1])
    assert found.variance == pytest.approx(contrast @ covariance @ contrast, abs=1e-12)
    for s, a in zip(scores, (found.a, found.b), strict=True):
        assert a == pytest.approx(roc_auc_score(positive, s)) == pytest.approx(auroc(s, positive))


def test_p_and_interval_belong_together():
    rng = np.random.default_rng(0)
    positive = np.arange(80) < 35
    a, b = rng.normal(size=80) + positive, rng.normal(size=80)
    found = delong(a, b, positive)
    z = (found.a - found.b) / found.variance**0.5
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(z)))
    assert found.low < found.a - found.b < found.high and (found.p < 0.05) == (found.low > 0 or found.high < 0)
    assert delong(a, a, positive).p == 1


def test_the_level_is_kept_under_the_null():
    """Two equally good scores of the same people: 5 % false alarms."""
    rng, alarms = np.random.default_rng(1), 0
    positive = np.arange(60) < 30
    for _ in range(400):
        common = rng.normal(size=60) + positive
        alarms += delong(common + rng.normal(size=60), common + rng.normal(size=60), positive).p < 0.05
    assert 0.02 < alarms / 400 < 0.09


def test_a_class_of_one_person_is_refused_and_one_class_has_no_auroc():
    with pytest.raises(ValueError, match="1 and 3"):
        delong(np.arange(4), np.arange(4), np.array([True, False, False, False]))
    assert np.isnan(auroc(np.arange(3), np.ones(3, bool)))
