"""Equivalence, false discoveries, maps and power: against published examples and libraries."""

import numpy as np
import pytest
from scipy import stats

from workbench.stats import (
    equivalence,
    equivalence_power,
    false_discovery,
    paired_power,
    people_needed,
    sign_flip_map,
    sign_flip_p,
    study_power,
    two_level_interval,
)


def test_equivalence_as_pingouin_gives_it():
    """The paired example of pingouin.tost: a margin of 0.5, p 0.954854."""
    d = np.array([4, 7, 8, 6, 3, 2]) - np.array([6, 8, 7, 10, 11, 9])
    found = equivalence(d, 0.5)
    assert found.p == pytest.approx(0.954854, abs=1e-6) and not found.shown and found.n == 6
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.9, 5, d.mean(), stats.sem(d)))


def test_equivalence_as_statsmodels_gives_it_and_the_interval_says_the_same():
    weightstats = pytest.importorskip("statsmodels.stats.weightstats")
    rng = np.random.default_rng(0)
    shown = []
    for n in (5, 12, 40):
        for shift in (0.0, 0.4, 1.2):
            d = rng.normal(shift, 1, n)
            found = equivalence(d, 0.6)
            assert found.p == pytest.approx(weightstats.ttost_paired(d, np.zeros(n), -0.6, 0.6)[0], rel=1e-9)
            assert found.shown == (found.p < 0.05)
            shown.append(found.shown)
    assert True in shown and False in shown
    alike = equivalence(np.full(4, 0.1), 0.2)
    assert alike.shown and alike.p == 0 and np.isnan(equivalence([1.0, np.nan], 1).p)
    with pytest.raises(ValueError, match="above 0"):
        equivalence(d, 0)


def test_false_discoveries_of_benjamini_and_hochberg():
    """Their example of 1995 (15 hypotheses of a trial of thrombolysis): four are found at 5 %, Bonferroni finds
    three."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528]
    p += [0.7590, 1.0]
    q = false_discovery(p)
    assert (q < 0.05).sum() == 4 and (np.array(p) < 0.05 / 15).sum() == 3
    some = false_discovery([0.5, np.nan, *p])
    assert np.isnan(some[1]) and np.isfinite(np.delete(some, 1)).all() and len(false_discovery([])) == 0


def test_a_map_of_one_place_is_the_test_of_that_place():
    rng = np.random.default_rng(1)
    for n in (6, 11):
        d = rng.normal(0.4, 1, (n, 1))
        found = sign_flip_map(d)
        assert found.p[0] == pytest.approx(sign_flip_p(d[:, 0])) and found.p_family[0] == found.p[0]
        assert found.t[0] == pytest.approx(stats.ttest_1samp(d[:, 0], 0).statistic)


def test_a_map_without_a_difference_finds_something_as_rarely_as_it_says():
    rng = np.random.default_rng(2)
    family, alone = 0, []
    for _ in range(200):
        smooth = rng.normal(size=(9, 40)) + 0.7 * rng.normal(size=(9, 1))  # places have much in common
        found = sign_flip_map(smooth)
        family += found.p_family.min() < 0.05
        alone.append((found.p < 0.05).mean())
    assert family <= 20 and np.mean(alone) == pytest.approx(0.05, abs=0.02)


def test_a_planted_place_is_found_and_empty_ones_say_nothing():
    rng = np.random.default_rng(3)
    d = rng.normal(size=(20, 60))
    d[:, :5] += 2
    d[:, 59] = 0
    found = sign_flip_map(d, draws=500)
    assert (found.p_family[:5] < 0.05).all() and (found.q[:5] < 0.05).all() and (found.q[5:59] > 0.05).mean() > 0.9
    assert np.isnan([found.p[59], found.p_family[59], found.q[59]]).all() and found.people == 20
    assert (found.p_family[:59] >= found.p[:59]).all()


def test_power_of_gpowers_manual_and_of_known_numbers_of_people():
    """G*Power 3.1 manual, two dependent means: dz 0.421637, 50 pairs: power 0.832114. dz 0.5 needs 34 pairs."""
    assert study_power(0.421637, 1.0, 50) == pytest.approx(0.832114, abs=1e-6)
    assert [people_needed(dz, 1.0) for dz in (0.2, 0.5, 0.8)] == [199, 34, 15]


def test_power_with_pretrainings_holds_what_is_then_found():
    rng = np.random.default_rng(4)
    people, seeds, spread, moods, difference = 20, 4, 0.05, 0.02, 0.06
    expected = study_power(difference, spread, people, seed_spread=moods, seeds=seeds)
    found = 0
    for _ in range(400):
        d = difference + rng.normal(0, spread, (1, people)) + rng.normal(0, moods, (seeds, 1))
        d = d + rng.normal(0, 1e-6, d.shape)
        who, which = np.tile(np.arange(people), seeds), np.repeat(np.arange(seeds), people)
        found += two_level_interval(d.ravel(), who, which, method="t").low > 0
    assert found / 400 == pytest.approx(expected, abs=0.08) and 0.5 < expected < 0.99
    assert study_power(0.06, spread, 10_000, seed_spread=0.2, seeds=2) < 0.2  # no number of people makes up for seeds
    assert people_needed(0.06, spread, seed_spread=0.2, seeds=2) is None
    with pytest.raises(ValueError, match="one pretraining"):
        study_power(0.1, 1, 10, seed_spread=0.1)


def test_power_of_equivalence_is_how_often_it_is_shown():
    rng = np.random.default_rng(5)
    for n, margin in ((30, 0.5), (60, 0.4)):
        shown = np.mean([equivalence(rng.normal(0, 1, n), margin).shown for _ in range(1500)])
        assert equivalence_power(margin, 1.0, n) == pytest.approx(shown, abs=0.05)
    assert equivalence_power(0.1, 1.0, 10) == 0.0 and paired_power(0.0, 20) == pytest.approx(0.05)


def test_the_two_level_interval_agrees_with_a_mixed_model():
    """Crossed random effects of person and pretraining: the error of the mean is REML's where the design is
    balanced and both vary."""
    lmm = pytest.importorskip("statsmodels.regression.mixed_linear_model")
    import pandas as pd

    rng = np.random.default_rng(6)
    seeds, people = 5, 24
    values = (
        0.02 + rng.normal(0, 0.03, (seeds, 1)) + rng.normal(0, 0.05, (1, people)) + rng.normal(0, 0.02, (seeds, people))
    )
    table = pd.DataFrame(
        {
            "d": 100 * values.ravel(),
            "seed": np.repeat(np.arange(seeds), people),
            "person": np.tile(np.arange(people), seeds),
            "all": 1,
        }
    )
    model = lmm.MixedLM.from_formula(
        "d ~ 1", table, groups="all", re_formula="0", vc_formula={"s": "0 + C(seed)", "p": "0 + C(person)"}
    )
    found = model.fit(reml=True)
    ours = two_level_interval(table["d"].to_numpy(), table["person"].to_numpy(), table["seed"].to_numpy(), method="t")
    assert ours.estimate == pytest.approx(float(found.fe_params["Intercept"]), rel=1e-6)
    by_seed, by_person = 100 * values.mean(1), 100 * values.mean(0)
    rest = 100 * (values - values.mean(1)[:, None] - values.mean(0) + values.mean())
    parts = [
        people * by_seed.var(ddof=1),
        seeds * by_person.var(ddof=1),
        (rest**2).sum() / ((seeds - 1) * (people - 1)),
    ]
    error = np.sqrt((parts[0] + parts[1] - parts[2]) / (seeds * people))
    assert error == pytest.approx(float(found.bse_fe["Intercept"]), rel=0.01)
    half = (ours.high - ours.low) / 2
    assert 1.96 * error < half < 4 * error  # Student's t in place of the normal: few pretrainings
