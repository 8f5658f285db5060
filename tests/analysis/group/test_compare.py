"""Who is compared with whom, and what two groups differ in besides."""

import numpy as np
import pandas as pd
import pytest

from workbench.analysis.config import GroupConfig
from workbench.analysis.group.compare import Units, compare_maps, make_pair
from workbench.analysis.group.membership import confounds, pairs_of, units_of

SETTINGS = GroupConfig(out="out", attend="attend", permutations=199, draws=100)


def units(people, groups, maps=None, within=None):
    maps = np.random.default_rng(0).normal(size=(len(people), 5)) if maps is None else maps
    names = np.array([f"{p}-{g}" for p, g in zip(people, groups, strict=True)])
    return Units("own", names, np.array(people), np.array(groups), maps.astype(np.float32), within)


def test_people_of_both_groups_are_compared_with_themselves_or_left_out():
    people = [f"p{i}" for i in range(8)]
    maps = np.random.default_rng(0).normal(size=(16, 5))
    maps[:8] += 3 * maps.std()
    same = units(people * 2, ["a"] * 8 + ["b"] * 8, maps)
    pair = make_pair(same, "a", "b", SETTINGS)
    test, ends, told = compare_maps(same, pair, SETTINGS)
    assert pair.paired and not pair.why and told == "signs turned by person" and test.people == 8
    assert test.mean == pytest.approx((maps[:8] - maps[8:]).mean(axis=0), abs=1e-5)
    assert (test.p_family <= 2 / 2**7).all() and (ends[0] > 0).all()
    some = units([*people, "p0", *[f"q{i}" for i in range(7)]], ["a"] * 8 + ["b"] * 8)
    pair = make_pair(some, "a", "b", SETTINGS)
    assert not pair.paired and len(pair.rows) == 14 and "1 people are in both" in pair.notes[0]
    assert not {"p0"} & set(some.people[pair.rows])


def test_what_so_few_people_cannot_show_is_said():
    assert make_pair(units(list("abcdefg"), ["a"] * 4 + ["b"] * 3), "a", "b", SETTINGS).why == (
        "4 and 3 people, a group needs 5"
    )
    few = SETTINGS.model_copy(update={"smallest_group": 2})
    assert "cannot give a p below 0.1" in make_pair(units(list("abcdef"), ["a"] * 3 + ["b"] * 3), "a", "b", few).why
    pairs, notes = pairs_of({f"s{i}": 10 + i for i in range(8)} | {"tiny": 2}, 5)
    assert len(pairs) == 15 and "tiny: 2 people" in notes[0] and "6 largest" in notes[1]


def test_levels_that_hold_one_group_say_nothing():
    within = np.array(["N"] * 12 + ["S"] * 6)
    groups = ["a", "b"] * 6 + ["a"] * 6
    some = units([f"p{i}" for i in range(18)], groups, within=within)
    pair = make_pair(some, "a", "b", SETTINGS)
    assert len(pair.rows) == 12 and "6 people are left out" in pair.notes[0]


def test_scans_of_a_person_are_one_and_unknown_groups_none():
    scans = pd.DataFrame({"scan_id": list("stuv"), "participant": ["p", "p", "q", "r"], "site": ["A", "B", "A", None]})
    made = units_of(scans, "site")
    assert made["unit"].nunique() == 3 and "v" not in set(made["scan_id"])


def people(**columns):
    n = len(next(iter(columns.values())))
    return pd.DataFrame({"participant": [f"p{i}" for i in range(n)], **columns})


def test_what_goes_with_the_groups_is_told_and_what_does_not_is_not():
    groups = ["patient"] * 20 + ["control"] * 20
    apart = confounds(people(diagnosis=groups, site=["N"] * 20 + ["S"] * 20), "diagnosis", "patient", "control")
    assert [(r["column"], r["kind"]) for r in apart] == [("site", "wholly")]
    partly = people(diagnosis=groups, site=["N"] * 16 + ["S"] * 4 + ["N"] * 4 + ["S"] * 16, sex=["F", "M"] * 20)
    (row,) = confounds(partly, "diagnosis", "patient", "control")
    assert (row["column"], row["kind"]) == ("site", "partly") and "% of patient and" in row["words"]
    ages = np.concatenate([np.linspace(50, 70, 20), np.linspace(30, 50, 20)])
    (row,) = confounds(people(diagnosis=groups, age=ages), "diagnosis", "patient", "control")
    assert row["words"].startswith("patient is older than control: mean age 60 and 40 years")
    even = people(diagnosis=groups, site=["N", "S"] * 20, sex=["F", "F", "M", "M"] * 10, age=list(range(20)) * 2)
    assert confounds(even, "diagnosis", "patient", "control") == []
