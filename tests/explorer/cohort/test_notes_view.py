"""The report of the cohort, in the explorer: everything it said, nothing of where things lie, no markup from data."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from workbench.explorer.cohort.notes_view import notes_html
from workbench.explorer.session.state import ExplorerState
from workbench.runs import JobConfig, start_run


@pytest.fixture
def state(tmp_path):
    """A runs folder with a cohort, as its job writes it."""

    class FakeCohort(JobConfig):
        job = "cohort"

    def make(notes, aside):
        runs = tmp_path / "runs"
        with start_run(FakeCohort(out=runs / "cohort"), simulated=False) as run:
            run.write_table("scans", pd.DataFrame({"scan_id": ["a"], "participant": ["p"], "path": ["/data/a.nii"]}))
            run.write_table("notes", pd.DataFrame(notes, columns=["kind", "dataset", "text"], dtype=str))
            columns = ["path", "dataset", "participant", "kind", "cause", "remedy"]
            run.write_table("set_aside", pd.DataFrame(aside, columns=columns, dtype=str))
        return ExplorerState(runs_folder=Path(runs))

    return make


def test_every_remark_and_every_file_set_aside_is_there(state):
    html = notes_html(
        state(
            [
                ("unused", "one", "3 scans of another contrast are not taken"),
                ("guess", "", "1 = male <script>alert(1)</script>"),
                ("note", "one", "sex and age are from /home/somebody/secret/IXI.xls"),
            ],
            [("/home/somebody/secret/sub-2_T1w.nii.gz", "one", "one/2", "scan", "it is empty", "convert it again")],
        )
    )
    for said in ("Not used", "3 scans of another contrast", "Guessed", "1 = male", "Set aside: 1 scan", "it is empty"):
        assert said in html
    assert html.index("Set aside") < html.index("Not used")  # in the order of the printed report
    assert "<script>" not in html and "secret" not in html and "IXI.xls" in html and "sub-2_T1w.nii.gz" in html


def test_a_cohort_of_which_nothing_was_left(state):
    assert "Everything in the sources was taken" in notes_html(state([], []))


def test_a_cohort_that_is_elsewhere_is_said(fake_runs):
    assert "not where its store says" in notes_html(ExplorerState(runs_folder=fake_runs))
