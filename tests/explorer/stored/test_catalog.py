"""Scans are seen without an embedding."""

from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest

from tests.explorer.fake_runs import FakeSegment, FakeShift
from workbench.explorer.cohort.cohort_view import CohortView
from workbench.explorer.scan.scan_view import ScanView
from workbench.explorer.session.state import ExplorerState
from workbench.runs import JobConfig, start_run


class FakePrepare(JobConfig):
    job: ClassVar[str] = "prepare"


class FakeCohort(JobConfig):
    job: ClassVar[str] = "cohort"


@pytest.fixture
def scans(own_runs):
    return pd.read_parquet(own_runs / "embed" / "results" / "scans.parquet")


@pytest.mark.parametrize("job", ["prepare", "cohort", "segment"])
def test_a_cohort_a_store_or_a_segmentation_is_enough_to_see_scans(tmp_path, scans, job):
    runs: Path = tmp_path / "only"
    if job == "cohort":
        with start_run(FakeCohort(out=runs / "cohort"), simulated=True) as run:
            run.write_table("scans", scans)
    else:
        place = runs if job == "prepare" else tmp_path
        with start_run(FakePrepare(out=place / "store"), simulated=True) as run:
            run.write_table("index", scans)
    if job == "segment":
        config = FakeSegment(out=runs / "segment", store=tmp_path / "store", encoder=tmp_path / "encoder")
        with start_run(config, simulated=True) as run:
            facts = {"structure": "left_hippocampus", "dice": 0.5, "split": "test", "file": "none.nii.gz"}
            dice = scans[["scan_id", "participant", "site"]].iloc[:2]
            run.write_table("dice", dice.assign(**facts))
    state = ExplorerState(runs)
    assert len(state.cohort) == (2 if job == "segment" else len(scans)) and state.case and not state.message
    CohortView(state)
    assert ScanView(state).view.base
    assert state.shown() == (["prediction"] if job == "segment" else ["truth"])


def test_figures_of_an_embedding_that_was_named_by_a_relative_path_are_found(own_runs, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(own_runs.parent)  # where the job was started
    with start_run(FakeShift(out=Path("runs/shift"), embed=Path("runs/embed")), simulated=True) as run:
        run.write_table("shift", pd.DataFrame({"measure": ["x"]}))
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert ExplorerState(own_runs).shift_run == "shift"
