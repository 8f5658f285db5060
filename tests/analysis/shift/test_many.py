"""What is done another way for more than 5,000 people says what it says of few."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench.analysis.config import ShiftConfig
from workbench.analysis.shift import measures, spaces
from workbench.analysis.shift import task as tasks
from workbench.analysis.shift.job import compare, drawn_rows


def units(people: np.ndarray, seed: int = 0) -> spaces.Units:
    rng = np.random.default_rng(seed)
    sites = rng.choice(["a", "b", "c"], len(people), p=[0.5, 0.3, 0.2])
    vectors = rng.normal(size=(len(people), 4)) + (sites == "a")[:, None]
    return spaces.Units(pd.DataFrame({"participant": people, "site": sites}), vectors, np.empty((len(people), 0)), ())


@pytest.mark.parametrize("twice", [False, True])
def test_folds_of_many_hold_everybody_out_once_and_nobody_on_both_sides(twice, monkeypatch):
    monkeypatch.setattr(spaces, "MANY", 200)
    people = np.arange(300) if not twice else np.r_[np.arange(250), np.arange(50)]
    mine = units(np.array([f"p{n}" for n in people]))
    folds = spaces.folds_of(mine, 5, 0)
    assert sorted(np.concatenate([held for _, held in folds])) == list(range(300))
    for fit, held in folds:
        assert not set(mine.people[fit]) & set(mine.people[held])
        assert set(mine.sites[held]) == {"a", "b", "c"}


def test_the_site_is_predicted_alike(monkeypatch):
    mine = units(np.array([f"p{n}" for n in range(300)]))
    folds = spaces.folds_of(mine, 5, 0)
    few = measures.predict_site(mine, spaces.as_it_is(mine), folds)
    monkeypatch.setattr(measures, "MANY", 10)
    assert np.mean(measures.predict_site(mine, spaces.as_it_is(mine), folds) == few) > 0.99


def test_the_interval_is_that_of_people_drawn_again():
    rng = np.random.default_rng(1)
    sites = np.repeat(["a", "b"], [40, 15])
    right = rng.random(55) < np.where(sites == "a", 0.8, 0.5)
    mean, low, high = measures.balanced_accuracy(right, sites, seed=0)
    groups = [right[sites == s].astype(float) for s in ("a", "b")]
    drawn = np.mean([g[rng.integers(len(g), size=(20_000, len(g)))].mean(axis=1) for g in groups], axis=0)
    assert mean == pytest.approx(np.mean([g.mean() for g in groups]))
    assert (low, high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.03)


def test_what_is_regressed_out_of_many_is_what_is_of_few(monkeypatch):
    rng = np.random.default_rng(2)
    age = rng.uniform(20, 80, 300)
    some = units(np.array([f"p{n}" for n in range(300)]))
    mine = spaces.Units(
        some.table, some.vectors, np.stack([age, age, rng.integers(0, 2, 300)], axis=1), ("a", "b", "c")
    )
    train = np.arange(200)
    few = spaces.regressed(mine)(train)(mine.vectors, np.arange(300))
    monkeypatch.setattr(spaces, "MANY", 10)  # one covariate is there twice: both take the smallest slopes
    np.testing.assert_allclose(spaces.regressed(mine)(train)(mine.vectors, np.arange(300)), few, atol=1e-9)


def test_a_persons_mean_is_of_their_scans_in_any_order():
    rng = np.random.default_rng(3)
    group = rng.permutation(np.r_[np.arange(40), np.arange(10), np.zeros(3, int)])
    vectors = rng.normal(size=(len(group), 6)).astype(np.float32)
    expected = np.stack([vectors[group == g].mean(axis=0, dtype=np.float64) for g in range(40)])
    np.testing.assert_array_equal(spaces.means_of(vectors, group), expected)


def test_permutations_tried_at_once_are_those_tried_alone(monkeypatch):
    rng = np.random.default_rng(4)
    sites = rng.choice(["a", "b", "c"], 90, p=[0.6, 0.3, 0.1])
    vectors = rng.normal(size=(90, 5)) + 0.3 * (sites == "a")[:, None]

    def found():
        return measures.distances(vectors, sites, permutations=99, rng=np.random.default_rng(5))

    alone = found()
    monkeypatch.setattr(measures, "TOGETHER", 10)
    together = found()
    assert together.overall == alone.overall and 0.01 < alone.overall["mmd2"][1] < 1
    pd.testing.assert_frame_equal(together.pairs, alone.pairs)


def test_few_drawn_of_many_are_counted_and_no_site_is_there_with_one():
    sites = np.array(["large"] * 500 + ["small"] * 6 + ["tiny"] * 3)
    drawn = drawn_rows(sites, 40, 5, np.random.default_rng(0))
    assert len(set(drawn)) == len(drawn) and (np.diff(drawn) > 0).all()
    assert (sites[drawn] == "small").sum() >= 5 and (sites[drawn] == "tiny").sum() == 3
    assert (drawn_rows(sites, 509, 5, np.random.default_rng(0)) == np.arange(509)).all()

    mine = units(np.array([f"p{n}" for n in range(120)]))
    asked = ShiftConfig(out="-", embed="-", most_people=50, permutations=19)
    tables, notes = {"shift": [], "mixing": [], "predictions": []}, []
    pairs = compare("as it is", mine, spaces.as_it_is(mine), asked, tables, notes)
    first, *others = tables["shift"]
    assert first["people"] == 120 and {row["people"] for row in others} == {50}
    assert sum(row["people"] for row in tables["mixing"]) == 50 and len(tables["predictions"]) == 120
    assert pairs["people_a"].max() <= 50 and notes == [
        "as it is: distances, silhouette and mixing are of 50 of 120 people"
    ]


def test_the_auroc_of_many_is_that_of_all_pairs(monkeypatch):
    rng = np.random.default_rng(6)
    scores, positive = rng.integers(0, 9, 80) / 9, rng.random(80) < 0.4  # many are equal
    few = tasks.auroc(scores, positive, 0)
    monkeypatch.setattr(tasks, "PAIRS", 10)
    assert tasks.auroc(scores, positive, 0) == pytest.approx(few, abs=1e-12)


def test_a_task_is_held_against_people_drawn_and_says_how_many(monkeypatch):
    rng = np.random.default_rng(7)
    people = [f"p{n}" for n in range(90)]
    vectors = pd.DataFrame(rng.normal(size=(90, 4)), index=people)
    rows = pd.DataFrame({"participant": people[60:], "place": ["a"] * 20 + ["b"] * 10, "dice": rng.random(30)})
    whole, some = (tasks.Tested("dice", rows, vectors, set(people[:60]), most, 0) for most in (100, 15))
    assert len(whole.reference) == 60 and len(some.reference) == 15
    table = tasks.task_by_site(some, 0).set_index("site")
    assert dict(table["energy_people"]) == {"a": 15, "b": 10} and set(table["energy_training"]) == {15}
    assert dict(table["people"]) == {"a": 20, "b": 10}  # the score is everybody's
    expected = tasks.task_by_person(whole)
    monkeypatch.setattr(tasks, "CHUNK", 7)
    pd.testing.assert_frame_equal(tasks.task_by_person(whole), expected, check_exact=True)
