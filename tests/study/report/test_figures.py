"""Figures of the report."""

import re

import numpy as np
import pandas as pd

from tests.study.made import people_of
from workbench.study.evidence.class_scores import auroc_parts
from workbench.study.report import figures
from workbench.study.report.canvas import arm_colours


def test_a_matrix_has_a_field_for_every_pair_of_sites():
    rows = pd.DataFrame(
        [
            {"direction": f"{a} → {b}", "arm": arm, "estimate": 0.8, "n": 7}
            for a in "AB"
            for b in "AB"
            for arm in ("random", "volta")
        ]
    )
    text = figures.transfer(rows, {d: tuple(d.split(" → ")) for d in rows["direction"]}, 100, 1, "Dice points")
    assert text.count("n = 7") == 8 and text.count("80.0") == 8
    assert {"random", "volta", "A", "B"} <= set(re.findall(r">([^<]+)</text>", text))


def test_each_pretraining_is_a_point_where_there_are_several():
    rows = people_of({"volta": {0: [0.5, 0.6], 1: [0.7, 0.6], 2: [0.9, 0.8]}, "given": {0: [0.5, 0.5]}})
    assert figures.by_seed(rows[rows["arm"] == "volta"]).round(6).tolist() == [0.55, 0.65, 0.85]
    colours = arm_colours(["volta", "given"])

    def points(of: pd.DataFrame) -> int:
        text = figures.people(of, 100, "Dice points", ["A → B"], colours).lower()
        return len(re.findall(rf"<use [^>]*fill: #ffffff; stroke: {colours['volta'].lower()}", text))

    assert (points(rows), points(rows.assign(seed=0))) == (3, 0)  # of the given encoder there is one, and no point


def test_every_arm_keeps_its_colour_where_others_are_missing():
    colours = arm_colours([f"arm{i}" for i in range(9)])
    assert len(set(colours.values())) == 9
    rows = people_of({"arm4": {0: [0.5, 0.6]}})[["direction", "participant", "arm", "seed", "value"]]
    text = figures.people(rows, 100, "Dice points", ["A → B"], colours)
    assert colours["arm4"].lower() in text.lower() and colours["arm0"].lower() not in text.lower()
    assert auroc_parts(np.array([0.1, 0.9, 0.2, 0.8]), np.array([0, 1, 0, 1])).tolist() == [1, 1, 1, 1]
