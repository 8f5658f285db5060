"""How many people it takes, before and after a study."""

import pandas as pd
import pytest

from tests.found.test_found import made
from workbench import cli
from workbench.errors import ConfigError
from workbench.study.evidence.power import of_study, told


def test_it_says_how_many_people_show_a_difference(capsys):
    assert cli.main(["power", "--difference", "0.5", "--spread", "1", "--people", "34", "--margin", "0.6"]) == 0
    said = capsys.readouterr().out
    assert "34 people show it with 80 % power" in said and "34 people: 81 %; equivalence within ±0.6" in said
    lines = list(told(0.05, 0.05, seeds=2, seed_spread=0.5))
    assert "2 pretrainings" in lines[0] and "no number of people" in lines[1]
    with pytest.raises(ConfigError, match="one pretraining"):
        list(told(0.05, 0.05, seed_spread=0.5))


def test_spreads_are_those_of_a_study(tmp_path):
    row = {"task": "t", "direction": "A → B", "fraction": 1.0, "metric": "dice", "a": "x", "b": "y"}
    table = pd.DataFrame(
        [{**row, "mean_a": 0.8, "mean_b": 0.75, "dz": 0.5}, {**row, "mean_a": 1, "mean_b": 1, "dz": 0}]
    )
    study = made(tmp_path / "study", "compare", {"differences": table})
    assert list(of_study(study.path)) == [("t, A → B, 100 %, x − y, Dice", pytest.approx(0.1))]
    with pytest.raises(ConfigError, match="not a study"):
        list(of_study(made(tmp_path / "other", "segment").path))
