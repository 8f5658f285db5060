"""No person on two sides; every stratum alike; the same seed, the same split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from workbench.cohort import load_split, save_split, split_participants
from workbench.errors import WorkbenchError

FRACTIONS = st.sampled_from([(0.7, 0.15, 0.15), (0.8, 0.2), (0.5, 0.5), (0.6, 0.0, 0.4), (0.34, 0.33, 0.33)])


@st.composite
def tables(draw: st.DrawFn, least: int = 12) -> pd.DataFrame:
    """Scans of people with one to three sessions, sites of any size, sex known or not."""
    n = draw(st.integers(least, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    sites = draw(st.integers(1, 8))
    rows = []
    for person in range(n):
        site, sex = f"s{rng.integers(sites)}", rng.choice(["F", "M", "?"], p=[0.4, 0.4, 0.2])
        for session in range(rng.integers(1, 4)):
            rows.append(
                {"participant": f"d/p{person}", "session": session, "site": site, "sex": None if sex == "?" else sex}
            )
    return pd.DataFrame(rows)


def _split(table: pd.DataFrame, **how: object) -> pd.DataFrame:
    try:
        return split_participants(table, **how)  # type: ignore[arg-type]
    except WorkbenchError as error:
        assume("empty" not in str(error))  # too few people for a small share, which another test covers
        raise


def _off(people: pd.DataFrame, column: str, shares: dict[object, float]) -> float:
    return max(abs((people[column] == name).sum() - share * len(people)) for name, share in shares.items())


@settings(max_examples=60, deadline=None)
@given(table=tables(), fractions=FRACTIONS, seed=st.integers(0, 1000))
def test_shares_are_kept_in_every_stratum_and_each_person_is_on_one_side(table, fractions, seed) -> None:
    split = _split(table, fractions=fractions, seed=seed)
    assert sorted(split["participant"]) == sorted(table["participant"].unique())
    names = ("train", "test") if len(fractions) == 2 else ("train", "validation", "test")
    assert set(split["split"]) == {name for name, share in zip(names, fractions, strict=True) if share > 0}
    scans = table.merge(split, on="participant")
    assert len(scans) == len(table) and (scans.groupby("participant")["split"].nunique() == 1).all()
    people = scans.drop_duplicates("participant").fillna({"sex": "?"})
    shares = dict(zip(names, fractions, strict=True))
    assert max(_off(group, "split", shares) for _, group in people.groupby(["site", "sex"])) < 1
    assert _off(people, "split", shares) < 2


@settings(max_examples=40, deadline=None)
@given(table=tables(), folds=st.integers(2, 6), seed=st.integers(0, 1000))
def test_folds_are_equal(table: pd.DataFrame, folds: int, seed: int) -> None:
    split = _split(table, folds=folds, seed=seed)
    counts = split["fold"].value_counts()
    assert set(counts.index) == set(range(folds)) and counts.max() - counts.min() <= 2
    people = table.drop_duplicates("participant").merge(split).fillna({"sex": "?"})
    for _, group in people.groupby(["site", "sex"]):
        found = group["fold"].value_counts().reindex(range(folds), fill_value=0)
        assert found.max() - found.min() <= 1


@settings(max_examples=20, deadline=None)
@given(table=tables(), seed=st.integers(0, 1000))
def test_the_order_of_the_rows_does_not_matter(table: pd.DataFrame, seed: int) -> None:
    shuffled = table.sample(frac=1, random_state=seed)
    pd.testing.assert_frame_equal(_split(table, folds=3, seed=seed), _split(shuffled, folds=3, seed=seed))


def test_another_seed_is_another_split() -> None:
    table = pd.DataFrame({"participant": [f"p{i}" for i in range(40)], "site": "a", "sex": ["F", "M"] * 20})
    splits = {tuple(split_participants(table, seed=seed)["split"]) for seed in range(20)}
    assert len(splits) == 20


def test_strata_of_one_person_still_fill_every_part() -> None:
    table = pd.DataFrame({"participant": [f"p{i}" for i in range(30)], "site": [f"s{i}" for i in range(30)]})
    split = split_participants(table, seed=0, stratify=("site",))
    counts = split["split"].value_counts().to_dict()
    assert counts == pytest.approx({"train": 21, "validation": 4.5, "test": 4.5}, abs=1)


def test_age_is_stratified_by_its_quarters() -> None:
    age = np.random.default_rng(0).uniform(18, 90, 80)
    table = pd.DataFrame({"participant": [f"p{i:02d}" for i in range(80)], "age": age})
    split = split_participants(table, folds=4, seed=1, stratify=("age",)).merge(table)
    quarter = pd.qcut(split["age"], 4, labels=False)
    assert (pd.crosstab(quarter, split["fold"]) == 5).all(axis=None)


def test_a_person_with_a_known_value_in_one_scan_only_counts_with_it() -> None:
    table = pd.DataFrame({"participant": ["a", "a", "b", "c"], "site": "s", "sex": [None, "F", "F", "M"]})
    assert len(split_participants(table, fractions=(0.5, 0.5), seed=0)) == 3


def test_nothing_to_stratify_by() -> None:
    table = pd.DataFrame({"participant": [f"p{i}" for i in range(10)]})
    assert (split_participants(table, folds=5, seed=0, stratify=())["fold"].value_counts() == 2).all()


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ({"fractions": (0.7, 0.2)}, "sum to 1"),
        ({"fractions": (1.2, -0.2)}, "sum to 1"),
        ({"folds": 1}, "1 folds"),
        ({"folds": 9}, "would be empty"),
        ({"stratify": ("colour",)}, "no column colour"),
        ({"fractions": (0.98, 0.01, 0.01)}, "would be empty"),
    ],
)
def test_what_cannot_be_split_is_told(how: dict, cause: str) -> None:
    table = pd.DataFrame({"participant": list("abcdef"), "site": "s", "sex": "F"})
    with pytest.raises(WorkbenchError, match=cause):
        split_participants(table, seed=0, **how)


def test_saved_and_loaded(tmp_path: Path) -> None:
    table = pd.DataFrame({"participant": [f"p{i}" for i in range(20)], "site": "s", "sex": "F"})
    split = split_participants(table, seed=3)
    pd.testing.assert_frame_equal(load_split(save_split(tmp_path / "deep" / "split.parquet", split)), split)
    doubled = save_split(tmp_path / "doubled.parquet", pd.concat([split, split]))
    with pytest.raises(WorkbenchError, match="twice"):
        load_split(doubled)
    with pytest.raises(WorkbenchError, match="its columns are"):
        load_split(save_split(tmp_path / "scans.parquet", table))
    (tmp_path / "text.parquet").write_text("participant,split")
    for wrong in ("text.parquet", "absent.parquet"):
        with pytest.raises(WorkbenchError, match="cannot be read"):
            load_split(tmp_path / wrong)
