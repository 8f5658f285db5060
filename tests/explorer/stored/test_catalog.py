"""Scans are seen without an embedding."""

import shutil
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest

from tests.explorer.fake_runs import FakeSegment, FakeShift
from workbench.errors import WorkbenchError
from workbench.explorer.cohort.cohort_view import CohortView
from workbench.explorer.scan.scan_view import ScanView
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored.catalog import Catalog
from workbench.explorer.viewer.brain_box import brain_box
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


STRANGE = {
    "an id that is a mapping": ("scans", "scan_id", [{"a": 1}]),
    "a person that is a list": ("scans", "participant", [[1]]),
    "a place that is text": ("projections", "umap_1", ["left"]),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_values_of_another_kind_are_refused_by_their_column(fake_runs, tmp_path, kind):
    table, column, values = STRANGE[kind]
    shutil.copytree(fake_runs / "embed", tmp_path / "embed")
    path = tmp_path / "embed" / "results" / f"{table}.parquet"
    whole = pd.read_parquet(path)
    whole.assign(**{column: values * len(whole)}).to_parquet(path)
    with pytest.raises(WorkbenchError, match="cannot be used") as told:
        Catalog.scan(tmp_path).cohort("embed")
    assert column in told.value.cause


def test_bytes_and_lists_of_a_column_are_shown_as_text(fake_runs, tmp_path):
    shutil.copytree(fake_runs / "embed", tmp_path / "embed")
    path = tmp_path / "embed" / "results" / "scans.parquet"
    whole = pd.read_parquet(path)
    own = {"affine": [[2.0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1]] * len(whole), "px": 4, "py": 4, "pz": 4}
    whole.assign(site=[b"\xff"] * len(whole), made=[[1, 2]] * len(whole), **own).to_parquet(path)
    cohort = Catalog.scan(tmp_path).cohort("embed")
    assert set(cohort["site"]) == {"b'\\xff'"} and set(cohort["made"]) == {"[1 2]"}
    assert brain_box(cohort.iloc[0].to_dict()) is not None, "crosshairs are linked by it"
