"""A study on a real Slurm of one node: its cells are jobs, which whoever watches may leave and find again."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.conftest import make_study
from tests.slurm.conftest import release, show, wait_for, workbench
from tests.slurm.test_pretrain import steps
from tests.slurm.test_slurm import announce_the_end
from tests.study.cells.test_on_slurm import SEX
from tests.study.test_job import settings
from workbench.runs import Run
from workbench.study.cells.on_slurm import FOLDER, JOBS

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]


def test_a_disturbed_study_ends_in_the_numbers_of_one_that_was_not(cluster, tmp_path):
    study = make_study(tmp_path / "study")
    asked = settings(study, tmp_path / "study", tasks=SEX)
    del asked["out"]
    asked["pretrain"]["epochs"] = 150  # long enough to be disturbed
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(json.loads(json.dumps(asked, default=str))))
    whole = workbench(tmp_path, "compare", "--config", file, "--out", "whole")
    assert whole.wait(300) == 0, whole.communicate()[1]

    command = ("compare", "--config", file, "--out", "jobs", "--executor", "slurm", "--slurm.partition", "low")
    watcher, out = workbench(tmp_path, *command), tmp_path / "jobs"
    name, job = wait_for(lambda: pretraining(out), 90)
    between = steps(out / "cells" / name)
    wait_for(lambda: between() > 3, 120)
    watcher.send_signal(signal.SIGINT)
    assert watcher.wait(60) == 130 and "stay in Slurm's queue" in watcher.communicate()[1]
    show(f"nobody watches, at step {between()}")
    announce_the_end(job)
    wait_for(lambda: Run(out / "cells" / name).status["state"] != "running", 60)
    late = between()
    told = workbench(tmp_path, "status", "jobs", stdout=-1).communicate(timeout=60)[0]
    print(told)
    assert "Slurm has" in told

    again = workbench(tmp_path, *command)
    wait_for(lambda: release() or again.poll() is not None, 400, every=1)
    said = again.communicate()[1]
    assert again.returncode == 0, said
    assert pretraining(out)[1] == job and between() > late > 3, "the job that was in the queue was waited for"
    key = ["arm", "task", "metric", "participant"]
    tables = [
        Run(one).require_ok().read_table("people").sort_values(key)[[*key, "value"]].reset_index(drop=True)
        for one in (tmp_path / "whole", out)
    ]
    pd.testing.assert_frame_equal(*tables)
    assert not list(out.rglob("*.pkl"))


def pretraining(out: Path) -> tuple[str, str] | None:
    """The cell that pretrains, and its job."""
    file = out / FOLDER / JOBS
    jobs = json.loads(file.read_text()) if file.is_file() else {}
    found = [(cell.name, jobs[key]) for key in jobs for cell in (out / "cells").glob(f"pretrain-*-{key}")]
    return found[0] if found else None
