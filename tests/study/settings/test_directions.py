"""Who is on which side: by person, whatever the direction and the fold."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.study.settings.directions import Direction, expand, pretrain_sides, sides, spared
from workbench.study.settings.parts import DirectionSettings


def index(people: int, sites: int, seed: int) -> pd.DataFrame:
    """One to three scans a person; every fifth person has one at the next site, too."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(people):
        for k in range(int(rng.integers(1, 4))):
            at = (i + (k == 1 and i % 5 == 0)) % sites
            rows.append({"participant": f"p{i:03}", "site": "ABCD"[at], "sex": "FM"[i % 2]})
    return pd.DataFrame(rows)


WITHIN, ACROSS = Direction(("A", "B"), ("A", "B")), Direction(("A",), ("B",))
HOW = {"folds": 4, "validation": 0.2, "seed": 0, "stratify": ("sex", "site", "nothing")}


@pytest.mark.parametrize("direction", [WITHIN, ACROSS], ids=lambda d: d.name)
@pytest.mark.parametrize(("people", "seed"), [(24, 0), (37, 1), (60, 2)])
def test_a_person_is_on_one_side_and_everybody_on_some(people, seed, direction):
    table = index(people, 3, seed)
    for fold in range(4):
        split = sides(table, direction, fold=fold, **HOW)
        assert split["participant"].is_unique and set(split["participant"]) == set(table["participant"])
        assert {"train", "validation", "test"} == set(split["split"])


def test_within_sites_each_fold_tests_others_and_all_test_everybody():
    table = index(40, 3, 1)
    tested = [
        set(split.loc[split["split"] == "test", "participant"])
        for split in (sides(table, WITHIN, fold=fold, **HOW) for fold in range(4))
    ]
    inside = set(table.loc[table["site"].isin(["A", "B"]), "participant"])
    assert set.union(*tested) == inside and sum(map(len, tested)) == len(inside)


def test_between_sites_everybody_of_the_tested_site_is_tested_and_nobody_of_them_learnt_from():
    table = index(40, 3, 2)
    at_b = set(table.loc[table["site"] == "B", "participant"])
    for fold in range(4):
        split = sides(table, ACROSS, fold=fold, **HOW)
        assert set(split.loc[split["split"] == "test", "participant"]) == at_b


def test_who_is_pretrained_on_is_never_tested_and_who_is_at_both_is_never_pretrained_on():
    table = index(40, 3, 3)
    kept = set(table.loc[table["site"] == "C", "participant"])
    both = kept & set(table.loc[table["site"] != "C", "participant"])
    assert both and spared(table, ("C",)) == both
    tested = set()
    for fold in range(4):
        split = sides(table, WITHIN, fold=fold, **HOW)
        assert set(split.loc[split["participant"].isin(kept - both), "split"]) == {"train"}
        tested |= set(split.loc[split["split"] == "test", "participant"])
    assert both <= tested
    seen = pretrain_sides(table, ("C",)).set_index("participant")["split"]
    elsewhere = set(table.loc[table["site"] != "C", "participant"])
    assert set(seen.index[seen == "train"]) == kept - elsewhere


def test_empty_lists_stand_for_all_sites():
    def names(**wanted):
        return [d.name for d in expand([DirectionSettings(**wanted)], ["A", "B", "C"], "task")]

    assert names(within=()) == ["within A + B + C"]
    assert names(leave_one_out=()) == ["B + C → A", "A + C → B", "A + B → C"]
    assert len(names(matrix=())) == 9 and names(train=("A",), test=("B", "C")) == ["A → B + C"]
    both = expand([DirectionSettings(matrix=("A", "B")), DirectionSettings(train=("A",), test=("B",))], "AB", "t")
    assert len(both) == len(set(both)) == 4
    with pytest.raises(WorkbenchError, match="no usable scan of site Z"):
        names(train=("A",), test=("Z",))
    with pytest.raises(WorkbenchError, match="nobody to train on"):
        expand([DirectionSettings(leave_one_out=())], ["A"], "task")
