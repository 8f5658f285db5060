import pandas as pd
import pytest

from workbench.explorer.parts.site_finding import site_finding


class Stub:
    """As much of a state as a sentence needs."""

    shift_run = "shift"

    def __init__(self, rows):
        self._rows = pd.DataFrame(rows)

    @property
    def catalog(self):
        return self

    def table(self, run, name):
        assert (run, name) == ("shift", "shift")
        return self._rows


def row(space, value, low, high, measure="site predicted (balanced accuracy)"):
    return {"space": space, "measure": measure, "value": value, "low": low, "high": high, "chance": 1 / 3, "people": 72}


def test_the_finding_is_a_sentence_with_interval_chance_and_n():
    state = Stub([row("full", 0.83, 0.73, 0.93), row("after ComBat", 0.47, 0.36, 0.58), row("full", 9, 9, 9, "MMD")])
    assert site_finding(state) == (
        "The site can be named from the embedding in 83 % [73, 93] of people (n = 72), chance 33 %; after ComBat 47 % "
        "[36, 58]."
    )


def test_an_interval_over_chance_is_no_finding():
    assert "not shown to be better than chance" in site_finding(Stub([row("full", 0.4, 0.3, 0.5)]))


@pytest.mark.parametrize("rows", [[], [row("full", 0.5, 0, 1, "MMD")]])
def test_without_the_figure_there_is_no_sentence(rows):
    assert site_finding(Stub(rows)) == ""


def test_names_from_data_are_escaped():
    assert "<img" not in site_finding(Stub([row("full", 0.8, 0.7, 0.9), row("<img src=x>", 0.5, 0.4, 0.6)]))
