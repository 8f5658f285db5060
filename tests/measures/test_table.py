"""The table of measures: complete, and all that others have."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from workbench import measures
from workbench.measures import (
    MEASURES,
    PRIMARY,
    Measure,
    is_shown,
    main_measure,
    main_rows,
    measure,
    measures_in,
    structures,
)
from workbench.measures.predictions import classes_of
from workbench.study.evidence.intervals import arm_table
from workbench.study.evidence.numbers import MARKS, PLACE, _segmentation
from workbench.study.report.rows import arm_rows
from workbench.study.report.words import named

EMPTY, BOX = np.zeros((4, 5, 6), bool), np.pad(np.ones((2, 2, 2), bool), ((1, 1), (1, 2), (1, 3)))


def scored(**columns):
    """A table ``dice`` of four people, a structure each."""
    rows = [structures.structure_scores(BOX, np.roll(BOX, k, 0), np.eye(4)) for k in (0, 1, 1, 2)]
    facts = {"participant": list("abcd"), "site": "A", "split": "test", "structure": "left_hippocampus"}
    return pd.DataFrame(rows).assign(**facts, **columns)


@pytest.mark.parametrize("one", MEASURES.values(), ids=MEASURES)
def test_each_measure_has_a_source_and_words(one):
    assert one.compute or one.of_rows or one.of_people
    assert one.title and one.words and MEASURES[one.name] is one
    assert one.compute is None or one.task == "segment"
    assert not one.empty or one.compute


def test_a_scan_without_labels_has_the_columns_of_one_with_them():
    assert set(structures.no_scores()) == set(structures.structure_scores(BOX, BOX, np.eye(4)))


@pytest.mark.parametrize("predicted, truth", [(EMPTY, EMPTY), (EMPTY, BOX), (BOX, EMPTY)])
def test_what_an_empty_structure_gives_is_what_its_row_says(predicted, truth):
    masks = structures.Masks(predicted, truth, np.eye(4))
    scores = structures.structure_scores(predicted, truth, np.eye(4))
    assert scores["empty"] == masks.empty
    for one in structures.COMPUTED:
        if masks.empty in one.empty:
            given = one.empty[masks.empty]
            assert np.isclose(scores[one.name], given(masks) if callable(given) else given, equal_nan=True)


def test_measures_of_a_table_are_those_that_it_holds():
    table = scored()
    assert {"dice", "hd95_mm", "volume_error", "missed"} <= {one.name for one in measures_in(table)}
    old = table.drop(columns=["hd95_mm", "volume_error_percent", "empty"])
    assert not {"hd95_mm", "volume_error", "missed"} & {one.name for one in measures_in(old)}
    for one in measures_in(table):
        assert len(one.values(table)) == len(table) and one.values(table).dtype == float
    assert measures_in(pd.DataFrame({"scan_id": ["a"]})) == []


def test_values_a_row_of_predictions():
    two = pd.DataFrame({"truth": ["M", "F"], "score": [0.7, 0.4], "p_F": [0.3, 0.6], "p_M": [0.7, 0.4]})
    assert classes_of(two) == ["F", "M"]
    assert {one.name: one.values(two).tolist() for one in measures_in(two)} == {
        "correct": [1.0, 1.0],
        "brier": pytest.approx([0.09, 0.16]),
    }
    age = pd.DataFrame({"truth": [60.0, 70.0], "score": [63.0, 69.0], "predicted": [63.0, 69.0]})
    assert {one.name: one.values(age).tolist() for one in measures_in(age)} == {"absolute_error": [3.0, 1.0]}


def test_numbers_as_the_report_and_as_the_tables_have_them():
    dice, area = MEASURES["dice"], MEASURES["auroc"]
    assert (dice.number(0.7124), dice.signed(-0.018), dice.signed(0.0001)) == ("71.2", "−1.8", "±0.0")
    assert (dice.plain(0.7124), area.plain(0.7124), dice.plain(-0.018, "+")) == ("0.712", "0.712", "−0.018")


def test_unknown_names_are_shown_under_their_name_and_win_nothing():
    assert measure("something").words == "something" and not is_shown("something")
    assert is_shown("sensitivity_at_85") and "85 % specificity" in measure("sensitivity_at_85").words
    assert all(is_shown(name) for name in PRIMARY) and not is_shown("volume_error_ml")


def test_a_row_in_the_table_is_all_that_a_new_measure_needs(monkeypatch):
    """From a scan's masks to a run's table, every person's numbers, the intervals, the report's table and methods."""
    overlap = Measure(
        name="jaccard",
        task="segment",
        title="Jaccard",
        words="points of Jaccard",
        long="Jaccard index",
        scale=100,
        digits=1,
        most=1,
        compute=lambda masks: float((masks.predicted & masks.truth).sum() / (masks.predicted | masks.truth).sum()),
        empty={"both": np.nan},
    )
    monkeypatch.setattr(structures, "COMPUTED", (*structures.COMPUTED, overlap))
    monkeypatch.setitem(measures.MEASURES, overlap.name, overlap)
    table = scored()
    assert table["jaccard"].tolist() == pytest.approx([1, 1 / 3, 1 / 3, 0])

    class FakeRun:
        def read_table(self, name):
            return table

    place = dict.fromkeys(PLACE, "x") | {"seed": 0, "finetune_seed": 0, "fold": 0, "fraction": 1.0}
    people = _segmentation(FakeRun()).assign(**place, **dict.fromkeys(MARKS, False))
    arms = arm_table(people)
    assert arms.set_index("metric").loc["jaccard", "estimate"] == pytest.approx((1 + 2 / 3) / 4)
    assert "points of Jaccard" in arm_rows(arms) and "Jaccard index" in named("segment")
    older = table.drop(columns="jaccard")  # a run of before
    table = older
    assert "jaccard" not in set(_segmentation(FakeRun())["metric"])


def test_a_measure_cannot_be_changed_by_whoever_reads_it():
    with pytest.raises(dataclasses.FrozenInstanceError):
        MEASURES["dice"].digits = 5


def test_a_task_has_one_main_measure():
    """Of a classification AUROC, though the share of correct answers is a main measure where there is no AUROC."""
    rows = [("sex", "auroc"), ("sex", "correct"), ("stage", "correct"), ("stage", "brier"), ("other", "brier")]
    table = pd.DataFrame(rows, columns=["task", "metric"])
    assert list(main_rows(table).itertuples(index=False, name=None)) == [("sex", "auroc"), ("stage", "correct")]
    assert main_rows(table[:0]).empty and main_measure([]) is None
