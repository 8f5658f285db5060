"""A study whose cells are jobs of Slurm, as commands that look like Slurm's do them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from tests.study.test_job import build
from workbench.errors import ConfigError, RunsFailed
from workbench.runs.slurm import SlurmSettings
from workbench.standing import told
from workbench.study.cells import on_slurm
from workbench.study.cells.on_slurm import FOLDER, JOBS, SlurmCells, queued_cells
from workbench.study.job import run_study

SEX = {"sex": {"data": "tiny", "classify": {"target": "sex", "mode": "linear"}, "directions": [{"within": []}]}}


def test_cells_are_jobs_and_one_that_is_killed_is_done_again_alone(study, tmp_path: Path, slurm: Path) -> None:
    whole = run_study(build(study, tmp_path / "whole", tasks=SEX))
    config = build(study, tmp_path / "study", tasks=SEX, executor="slurm", slurm={"at_once": 1})
    (slurm / "die").write_text("0")
    with pytest.raises(RunsFailed) as failed:
        run_study(config)
    begun = len((slurm / "arrays").read_text().split())
    assert begun == 2, "pretraining and the random arm: what waits for the pretraining is not submitted"
    assert "its Slurm job" in str(failed.value) and "it needs pretrain" in str(failed.value)
    (slurm / "die").write_text("none")
    run = run_study(config)
    assert len((slurm / "arrays").read_text().split()) == begun + 3  # the three cells, one after the other
    key = ["arm", "task", "metric", "participant"]
    tables = [one.read_table("people").sort_values(key)[[*key, "value"]].reset_index(drop=True) for one in (whole, run)]
    pd.testing.assert_frame_equal(*tables)
    assert len(list((config.out / "logs").glob("*.txt"))) == 3 and not list(config.out.rglob("*.pkl"))
    assert "Slurm has" not in told(config.out)[0] and not queued_cells(config.out)


def cell(folder: Path, name: str) -> SimpleNamespace:
    return SimpleNamespace(key=name, name=name, folder=folder / name, done=False, state="new")


def test_a_job_that_is_in_the_queue_is_watched_again_and_not_submitted(
    tmp_path: Path, slurm: Path, monkeypatch
) -> None:
    submitted: list[str] = []
    monkeypatch.setattr(SlurmCells, "_submit", lambda self, cell: submitted.append(cell.name) or f"{cell.name}_0")
    one, two = cell(tmp_path, "11"), cell(tmp_path, "22")
    for job in ("11_0", "22_0"):
        (slurm / "queue" / job).touch()
    first = SlurmCells(SlurmSettings(at_once=2), tmp_path)
    first.start(one)
    assert not first.full
    first.start(two)
    assert first.full and set(queued_cells(tmp_path)) == {"11_0", "22_0"}
    assert json.loads((tmp_path / FOLDER / JOBS).read_text()) == {"11": "11_0", "22": "22_0"}
    (slurm / "queue" / "22_0").unlink()
    again = SlurmCells(SlurmSettings(at_once=2), tmp_path)
    again.start(one)
    again.start(two)
    assert submitted == ["11", "22", "22"], "the first was there still"
    assert not list(again.ended())  # the job may be away for a moment
    assert [(ended.name, why[:13]) for ended, why in again.ended()] == [("22", "its Slurm job")]
    (slurm / "queue" / "11_0").unlink()
    assert not [told for _ in range(2) for told in again.ended()], "it was ending when it was found: begun anew"
    assert submitted == ["11", "22", "22", "11"]
    (slurm / "queue" / "11_0").touch()
    last = SlurmCells(SlurmSettings(at_once=2), tmp_path)
    last.start(one)
    on_slurm.tell(tmp_path / FOLDER / "11.json", {"failed": "no such thing"})
    (slurm / "queue" / "11_0").unlink()
    assert [told for _ in range(2) for told in last.ended()] == [(one, "no such thing")]
    assert not last.cells


def test_jobs_are_ended_and_waited_for_till_none_is_there(tmp_path: Path, slurm: Path, monkeypatch) -> None:
    (slurm / "scancel").write_text('#!/bin/sh\nfor job in "$@"; do rm "$FAKE/queue/$job"; done\n')
    (slurm / "scancel").chmod(0o755)
    monkeypatch.setattr(SlurmCells, "_submit", lambda self, cell: f"{cell.name}_0")
    cells = SlurmCells(SlurmSettings(), tmp_path)
    for name in ("1", "2"):
        (slurm / "queue" / f"{name}_0").touch()
        cells.start(cell(tmp_path, name))
    began = time.monotonic()
    cells.stop()
    assert not list((slurm / "queue").iterdir())
    assert time.monotonic() - began < on_slurm.ENDING / 2, "an empty queue is an answer"


def test_cells_that_slurm_works_on_are_not_begun_here(study, tmp_path: Path, slurm: Path) -> None:
    config = build(study, tmp_path / "study", tasks=SEX)
    (config.out / FOLDER).mkdir(parents=True)
    (config.out / FOLDER / JOBS).write_text('{"abc": "7_0"}')
    (slurm / "queue" / "7_0").touch()
    with pytest.raises(ConfigError, match="Slurm works on 1 of its cells"):
        run_study(config)
