"""Intervals and paired differences of arms."""

import numpy as np
import pytest

from tests.study.made import people_of, predictions
from workbench.stats import auroc
from workbench.study.evidence.intervals import arm_table, difference_table


@pytest.mark.parametrize("classes", [2, 3])
def test_a_classification_has_its_scores_whatever_the_number_of_classes(classes):
    people = predictions(classes)
    arms = arm_table(people).set_index("metric")
    wide = people.pivot_table("value", "participant", "metric")
    truth = wide["class"].to_numpy()
    expected = (
        [auroc(wide[f"p_{c}"], truth == c) for c in range(3)] if classes == 3 else auroc(wide["score"], truth == 1)
    )
    assert arms.loc["auroc", "estimate"] == pytest.approx(np.mean(expected), abs=0.01)
    assert {"balanced_accuracy", "brier", "correct"} <= set(arms.index)
    assert not {"score", "truth", "class", "p_0"} & set(arms.index)
    assert (arms["low"] <= arms["estimate"]).all() and (arms["high"] <= arms["estimate"] + 0.4).all()
    assert ("sensitivity_at_90" in arms.index) == (classes == 2)


def test_what_could_have_been_shown_has_the_variation_of_pretrainings_in_it():
    rng = np.random.default_rng(0)
    base, noise = rng.normal(0.8, 0.03, 30), rng.normal(0, 0.005, (2, 3, 30))
    steady = people_of({"a": dict(enumerate(base + noise[0])), "b": dict(enumerate(base + noise[1]))})
    shift = np.array([-0.05, 0.0, 0.05])[:, None]  # each pretraining of a is another one
    moody = people_of({"a": dict(enumerate(base + noise[0] + shift)), "b": dict(enumerate(base + noise[1]))})
    first, second = (difference_table(p, [("a", "b")]).iloc[0] for p in (steady, moody))
    assert second["detectable"] > 5 * first["detectable"] and second["high"] - second["low"] > 0.1
    assert "3 pretrainings" in second["verdict"] and second["difference"] == pytest.approx(first["difference"])
    wild = {0: base * 0.2, 1: base, 2: base}
    few = difference_table(people_of({"a": wild, "b": dict.fromkeys(range(3), base)}), [("a", "b")]).iloc[0]
    assert few["detectable"] > 0.5 and few["low"] >= -1 and few["high"] <= 1
    three = arm_table(people_of({"a": wild}))
    assert three["low"].item() >= 0 and three["high"].item() <= 1  # there is no Dice beyond


def test_of_two_pretrainings_their_variation_is_not_estimable():
    """One degree of freedom gives intervals from -100 to +100 points: right, and of no use."""
    rng = np.random.default_rng(0)
    base = rng.normal(0.8, 0.03, 30)
    people = people_of({"a": {0: base - 0.05, 1: base - 0.03}, "b": {0: base, 1: base}})
    found = difference_table(people, [("a", "b")]).iloc[0]
    assert found["seeds"] == 2 and found["difference"] == pytest.approx(-0.04)
    assert found["high"] - found["low"] < 0.01 and "not estimable from 2" in found["verdict"]
    arms = arm_table(people).set_index("arm")
    assert (arms["seeds"] == 2).all() and (arms["high"] - arms["low"] < 0.05).all()


def test_seeds_of_a_given_encoder_are_no_pretrainings():
    rng = np.random.default_rng(1)
    base, moods = rng.normal(0.8, 0.03, 30), (-0.05, 0.0, 0.05)
    noise = rng.normal(0, 0.004, (3, 30))
    given = dict(enumerate(base + np.array(moods)[:, None] + noise))  # fine-tunings that differ much
    people = people_of({"given": given, "other": given, "fresh": dict(enumerate(base + noise))})
    arms = arm_table(people, given=["given", "other"]).set_index("arm")
    assert arms["seeds"].to_dict() == {"given": 1, "other": 1, "fresh": 3}
    assert arms.loc["given", "high"] - arms.loc["given", "low"] < 0.03  # their moods are averaged, not extrapolated
    pairs = [("given", "fresh"), ("given", "other")]
    told = difference_table(people, pairs, given=["given", "other"]).set_index(["a", "b"])
    assert told.loc[("given", "fresh"), "seeds"] == 3 and told.loc[("given", "other"), "seeds"] == 1
    assert told.loc[("given", "fresh"), "difference"] == pytest.approx(0, abs=1e-9)
    assert told.loc[("given", "fresh"), "n"] == 30
    assert "3 pretrainings of fresh, one of given" in told.loc[("given", "fresh"), "verdict"]
    assert "pretrainings" not in told.loc[("given", "other"), "verdict"]


def test_people_whom_a_failed_cell_cost_one_arm_are_left_out_of_the_pair_alone():
    rng = np.random.default_rng(0)
    base = rng.normal(0.8, 0.03, 20)
    people = people_of({"a": {0: base + 0.02, 1: base + 0.02}, "b": {0: base, 1: base}})
    lost = people[(people["arm"] == "b") | (people["seed"] == 0) | (people["participant"] < "p10")]
    found = difference_table(lost, [("a", "b")]).iloc[0]
    assert found["difference"] == pytest.approx(0.02) and found["n"] == 10
    apart = people[(people["participant"] < "p10") == (people["arm"] == "a")]  # nobody is in both
    assert not len(difference_table(apart, [("a", "b")])) and len(arm_table(apart)) == 2
