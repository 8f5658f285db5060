"""The runs of a batch through Slurm: arrays submitted with submitit, watched in the queue and in the run folders.

What runs on a node is a plain command that reads JSON, ``workbench.batch.slurm_job``; see ``workbench.runs.slurm``.
A job that is preempted or out of time is queued again: its notebook starts anew, and its jobs go on where they were.
The watcher may end at any time: jobs stay in the queue, and the same command finds them there.
"""

from __future__ import annotations

import json
import shlex
import time
import uuid
from pathlib import Path

from workbench.batch import slurm_job
from workbench.batch.batch_config import BatchConfig
from workbench.batch.conduct import Limits
from workbench.batch.plan import PlannedRun, Told
from workbench.errors import WorkbenchError
from workbench.runs import Run, replacing
from workbench.runs.slurm import ARRAY, WAITING, queue, require_queue, scancel, submit_array

LOOK_EVERY = 3.0  # seconds between two looks at the queue
JOBS = "jobs.json"


def run_on_slurm(config: BatchConfig, todo: list[PlannedRun], told: Told) -> None:
    """Submit what is not in the queue yet, and watch until all of ``todo`` has ended.

    Raises:
        WorkbenchError: submitit or Slurm is not there, or Slurm refuses the jobs.
        KeyboardInterrupt: the watching was stopped; the jobs stay in the queue.
    """
    folder = config.out / "slurm"
    folder.mkdir(exist_ok=True)
    jobs = _read_jobs(folder)
    waiting = require_queue()
    fresh = [run for run in todo if jobs.get(run.name) not in waiting]
    for start in range(0, len(fresh), ARRAY):
        part = fresh[start : start + ARRAY]
        jobs |= _submit(config, folder, part)
        with replacing(folder / JOBS) as partial:
            partial.write_text(json.dumps(jobs, indent=1) + "\n")
    try:
        _watch(todo, jobs, told)
    except KeyboardInterrupt:
        if left := set(jobs.values()) & set(queue() or {}):
            print(
                f"The jobs stay in Slurm's queue. `workbench batch status {config.out}` tells how they are, the same "
                f"command watches them again, `{scancel(left)}` ends them."
            )
        raise


def queued_runs(folder: Path) -> dict[str, str]:
    """Run → ``"queued"`` or ``"running"``, of those that are in Slurm's queue."""
    there = queue() or {}
    return {
        name: "queued" if there[job] in WAITING else "running"
        for name, job in _read_jobs(folder / "slurm").items()
        if job in there
    }


def _watch(todo: list[PlannedRun], jobs: dict[str, str], told: Told) -> None:
    missing: dict[str, int] = {}
    open_runs = {run.name: run for run in todo}
    while open_runs:
        time.sleep(LOOK_EVERY)
        there = queue()
        if there is None:
            continue  # the controller is away for a moment; the jobs are not
        for name, run in list(open_runs.items()):
            missing[name] = 0 if jobs[name] in there else missing.get(name, 0) + 1
            if missing[name] < 2:  # a shared disk may be seconds behind the queue
                continue
            status = Run(run.folder).told() if run.state != "new" else {"state": "new"}
            ended = {"ok": "", "failed": str(status.get("why", "failed"))}.get(
                status["state"],
                f"its Slurm job {jobs[name]} ended and left it {status['state']}: see the log of this "
                "number in the batch's folder slurm/",
            )
            told(open_runs.pop(name), ended)


def _submit(config: BatchConfig, folder: Path, runs: list[PlannedRun]) -> dict[str, str]:
    """Submit an array; run → job id."""
    s = config.slurm
    limits = Limits(config.minutes, config.memory_gb, patience=0.75 * s.grace_seconds)
    tasks = folder.resolve() / f"{uuid.uuid4().hex[:12]}.json"
    slurm_job.Tasks(runs, limits, wall_seconds=3600 * s.hours, requeues=s.requeues).save(tasks)
    command = f"-u -m {slurm_job.__name__} {shlex.quote(str(tasks))}"
    try:
        job = submit_array(command, len(runs), folder, s, memory_gb=config.memory_gb, threads=config.threads)
    except WorkbenchError:
        tasks.unlink()
        raise
    return {run.name: f"{job}_{number}" for number, run in enumerate(runs)}


def _read_jobs(folder: Path) -> dict[str, str]:
    try:
        return dict(json.loads((folder / JOBS).read_text()))
    except (OSError, ValueError):
        return {}
