"""What runs on a node, without a Slurm: its environment and a `scontrol` that keeps what it was asked. The real one is
in tests/slurm."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.batch.templates import wait_for, write_notebook
from workbench.batch import BatchConfig
from workbench.batch.conduct import Limits
from workbench.batch.plan import plan_runs
from workbench.batch.slurm import _submit
from workbench.batch.slurm_job import Tasks
from workbench.runs import Run

REPO = Path(__file__).parents[2]
# says that it is there, waits, keeps what it is told, and ends by itself once it may
CELL = """
import time
from pathlib import Path
folder = Path(out)
folder.mkdir(parents=True, exist_ok=True)
began = len(list(folder.glob('saved-*')))
(folder / f'there-{began}').touch()
try:
    while not Path(may_end).exists():
        time.sleep(0.1)
except KeyboardInterrupt:
    (folder / f'saved-{began}').touch()
    raise
from workbench.batch import record
record(out, began=began)
"""


@pytest.fixture
def job(tmp_path):
    """``job(stop=signal)``: one start of the job that is number 1 of its array; its exit status."""
    write_notebook(tmp_path / "n.ipynb", CELL, parameters="a = 1\nmay_end = ''\nout = None")
    config = BatchConfig(
        out=tmp_path / "b",
        notebook=tmp_path / "n.ipynb",
        grid={"a": [1, 2]},
        parameters={"may_end": str(tmp_path / "end")},
    )
    runs = plan_runs(config)
    Tasks(runs, Limits(patience=20), wall_seconds=0, requeues=1).save(tmp_path / "tasks.json")
    (tmp_path / "scontrol").write_text(f"#!/bin/sh\necho $@ >> {tmp_path}/asked\n")
    (tmp_path / "scontrol").chmod(0o755)
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPO),
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "8",
        "SLURM_ARRAY_JOB_ID": "7",
        "SLURM_ARRAY_TASK_ID": "1",
    }

    def start(stop=None, number=0):
        process = subprocess.Popen(
            [sys.executable, "-m", "workbench.batch.slurm_job", str(tmp_path / "tasks.json")],
            env=environment,
            start_new_session=True,
            stderr=subprocess.PIPE,
            text=True,
        )
        if stop:
            wait_for((Path(runs[1].folder) / "runs" / f"there-{number}").exists)
            process.send_signal(stop)
        start.said = process.communicate(timeout=60)[1]
        return process.returncode

    start.asked = lambda: (tmp_path / "asked").read_text().splitlines() if (tmp_path / "asked").exists() else []
    start.run = lambda: Run(runs[1].folder)
    start.folder = tmp_path
    return start


def test_a_job_told_that_its_time_is_over_saves_is_queued_again_so_often_and_goes_on(job):
    assert job(signal.SIGUSR2) == 130
    assert job.asked() == ["requeue 7_1"] and "queued again" in job.run().status["why"]
    assert job(signal.SIGUSR2, number=1) == 130
    assert job.asked() == ["requeue 7_1"], "once is what slurm.requeues allows"
    assert job.run().status["state"] == "interrupted" and "out of time 2 times" in job.run().status["why"]
    assert "slurm.requeues is 1" in job.said
    (job.folder / "end").touch()
    assert job() == 0
    assert job.run().ok and job.run().provenance["recorded"] == {"began": 2}, "from the state that was saved"
    assert not list((job.folder / "b" / "runs").glob("a-1*")), "the other run of the array is another job's"


def test_a_preempted_job_saves_and_leaves_the_queue_to_slurm(job):
    assert job(signal.SIGTERM) == 130
    assert job.asked() == [] and job.run().status["state"] == "interrupted"
    assert (Path(job.run().path) / "runs" / "saved-0").exists()


def test_what_a_job_is_told_is_json_and_is_read_back(job):
    tasks = Tasks.load(job.folder / "tasks.json")
    assert json.loads((job.folder / "tasks.json").read_text())["limits"]["patience"] == 20
    assert [run.given["a"] for run in tasks.runs] == [1, 2] and tasks.limits == Limits(patience=20)
    tasks.save(job.folder / "again.json")
    assert Tasks.load(job.folder / "again.json") == tasks


def test_what_is_submitted_asks_for_what_was_set_and_stores_no_pickle(tmp_path, monkeypatch):
    """The script that submitit writes, kept by an `sbatch` of our own."""
    for name, text in {"sbatch": f'cp "$1" "{tmp_path}/script"; echo Submitted batch job 12', "srun": ":"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    write_notebook(tmp_path / "n.ipynb", "print(a)")
    config = BatchConfig(
        out=tmp_path / "b c",
        notebook=tmp_path / "n.ipynb",
        grid={"a": [1, 2, 3]},
        executor="slurm",
        minutes=5,
        memory_gb=10,
        slurm={
            "partition": "short,long",
            "account": "lab",
            "gpus": 2,
            "cpus": 4,
            "hours": 1.5,
            "at_once": 2,
            "grace_seconds": 120,
            "setup": ["module load cuda"],
            "extra": {"nodelist": "n1"},
        },
    )
    folder = config.out / "slurm"
    folder.mkdir(parents=True)
    runs = plan_runs(config)
    jobs = _submit(config, folder, runs)
    assert jobs == {run.name: f"12_{number}" for number, run in enumerate(runs)}
    script = (tmp_path / "script").read_text()
    for line in (
        "--partition=short,long",
        "--account=lab",
        "--gpus-per-node=2",
        "--cpus-per-task=4",
        "--time=90",
        "--array=0-2%2",
        "--signal=USR2@120",
        "--requeue",
        "--nodelist=n1",
        "--mem=11264M",
    ):
        assert f"#SBATCH {line}\n" in script, line
    assert "module load cuda\n" in script and "OMP_NUM_THREADS=4" in script
    (tasks,) = folder.glob("*.json")
    assert f"-m workbench.batch.slurm_job '{tasks}'" in script
    assert Tasks.load(tasks) == Tasks(runs, Limits(5, 10, patience=90), wall_seconds=5400, requeues=3)
    assert not list(tmp_path.rglob("*.pkl"))
