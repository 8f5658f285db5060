"""What is done another way for more than 5,000 people says what it says of few."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench.analysis.shift import measures, spaces


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
