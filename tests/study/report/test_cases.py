"""Worst cases."""

from types import SimpleNamespace

import pandas as pd

from tests.study.made import people_of
from workbench.study.report.cases import case_figures, worst_cases


def test_a_picture_that_cannot_be_made_is_a_sentence(tmp_path):
    people = people_of({"a": {0: [0.9, 0.2]}}).assign(cell="gone")
    worst, store = worst_cases(people, "t", "dice", 1), SimpleNamespace(simulated=True)
    (figure,) = case_figures(people, worst, "t", tmp_path, store)
    assert "no picture" in figure and "p01" in figure and "simulated data" in figure


def test_worst_is_least_dice_and_largest_distance():
    people = pd.concat(
        [people_of({"a": {0: [0.9, 0.2, 0.5]}}), people_of({"a": {0: [3.0, 1.0, 9.0]}}).assign(metric="hd95_mm")]
    )
    assert worst_cases(people, "t", "dice", 2)["participant"].tolist() == ["p01", "p02"]
    assert worst_cases(people, "t", "hd95_mm", 1)["participant"].tolist() == ["p02"]
