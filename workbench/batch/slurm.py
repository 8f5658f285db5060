"""The runs of a batch through Slurm: arrays submitted with submitit, watched in the queue and in the run folders.

submitit writes the script for ``sbatch`` and submits it. What then runs on a node is a plain command that reads JSON,
``workbench.batch.slurm_job``: submitit's own way stores a function as a pickle, which the job would read from the disk.
A job that is preempted or out of time is queued again: its notebook starts anew, and its jobs go on where they were.
The watcher may end at any time: jobs stay in the queue, and the same command finds them there.
"""

from __future__ import annotations

import json
import math
import shlex
import subprocess
import time
import uuid
from pathlib import Path

from workbench.batch import slurm_job
from workbench.batch.batch_config import BatchConfig
from workbench.batch.conduct import Limits
from workbench.batch.plan import PlannedRun, Told
from workbench.errors import WorkbenchError
from workbench.runs import Run, replacing

ARRAY = 1000  # Slurm's usual MaxArraySize is 1001
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
    queue = _queue()
    if queue is None:
        raise WorkbenchError(
            "Slurm does not answer",
            cause="squeue failed",
            remedy="run this where `squeue` works, or use --executor local",
        )
    fresh = [run for run in todo if jobs.get(run.name) not in queue]
    for start in range(0, len(fresh), ARRAY):
        part = fresh[start : start + ARRAY]
        jobs |= _submit(config, folder, part)
        with replacing(folder / JOBS) as partial:
            partial.write_text(json.dumps(jobs, indent=1) + "\n")
    try:
        _watch(todo, jobs, told)
    except KeyboardInterrupt:
        first = sorted({job.split("_")[0] for job in jobs.values()} & {job.split("_")[0] for job in _queue() or {}})
        if first:
            print(
                f"The jobs stay in Slurm's queue. `workbench batch status {config.out}` tells how they are, the same "
                f"command watches them again, `scancel {' '.join(first)}` ends them."
            )
        raise


def queued_runs(folder: Path) -> dict[str, str]:
    """Run → ``"queued"`` or ``"running"``, of those that are in Slurm's queue."""
    queue = _queue() or {}
    waiting = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "SUSPENDED", "CONFIGURING")
    return {
        name: "queued" if queue[job] in waiting else "running"
        for name, job in _read_jobs(folder / "slurm").items()
        if job in queue
    }


def _watch(todo: list[PlannedRun], jobs: dict[str, str], told: Told) -> None:
    missing: dict[str, int] = {}
    open_runs = {run.name: run for run in todo}
    while open_runs:
        time.sleep(LOOK_EVERY)
        queue = _queue()
        if queue is None:
            continue  # the controller is away for a moment; the jobs are not
        for name, run in list(open_runs.items()):
            missing[name] = 0 if jobs[name] in queue else missing.get(name, 0) + 1
            if missing[name] < 2:  # a shared disk may be seconds behind the queue
                continue
            status = Run(run.folder).status if run.state != "new" else {"state": "new"}
            ended = {"ok": "", "failed": str(status.get("why", "failed"))}.get(
                status["state"],
                f"its Slurm job {jobs[name]} ended and left it {status['state']}: see the log of this "
                "number in the batch's folder slurm/",
            )
            told(open_runs.pop(name), ended)


def _submit(config: BatchConfig, folder: Path, runs: list[PlannedRun]) -> dict[str, str]:
    """Submit an array; run → job id."""
    try:
        import submitit
        from submitit.core.utils import FailedJobError, FailedSubmissionError
    except ImportError as error:
        raise WorkbenchError(
            "Slurm jobs cannot be submitted", cause=str(error), remedy="pip install 'volta-workbench[slurm]'"
        ) from error
    s = config.slurm
    asked = {
        "job_name": "workbench",
        "time": math.ceil(60 * s.hours),
        "signal_delay_s": s.grace_seconds,
        "cpus_per_task": s.cpus,
        "array_parallelism": s.at_once,
        "partition": s.partition,
        "account": s.account,
        "qos": s.qos,
        "constraint": s.constraint,
        "gpus_per_node": s.gpus or None,
        # a little more than our own limit, so that it is ours that is passed first and says so
        "mem": f"{math.ceil(1024 * (config.memory_gb * 1.05 + 0.5))}M" if config.memory_gb else None,
        "additional_parameters": {"requeue": True, **s.extra},
    }
    threads = config.threads or s.cpus
    asked["setup"] = [*s.setup, f"export OMP_NUM_THREADS={threads} MKL_NUM_THREADS={threads}"]
    limits = Limits(config.minutes, config.memory_gb, patience=0.75 * s.grace_seconds)
    tasks = folder.resolve() / f"{uuid.uuid4().hex[:12]}.json"
    slurm_job.Tasks(runs, limits, wall_seconds=3600 * s.hours, requeues=s.requeues).save(tasks)
    try:
        executor = submitit.SlurmExecutor(folder=folder)
        executor.update_parameters(**{name: value for name, value in asked.items() if value is not None})
        executor.parameters["map_count"] = len(runs)  # an array, of one run too
        job = executor._submit_command(f"{executor.python} -u -m {slurm_job.__name__} {shlex.quote(str(tasks))}")
    except (FailedSubmissionError, FailedJobError, RuntimeError, subprocess.CalledProcessError) as error:
        tasks.unlink()
        raise WorkbenchError(
            "Slurm refused the jobs",
            cause=str(error).strip()[:500],
            remedy="check slurm.partition, slurm.account, slurm.gpus and slurm.hours",
        ) from error
    return {run.name: f"{job.job_id}_{number}" for number, run in enumerate(runs)}


def _queue() -> dict[str, str] | None:
    """Job id → state of every job of this user that has not ended; None where Slurm does not answer."""
    try:
        said = subprocess.run(
            ["squeue", "--me", "--noheader", "--array", "--states=all", "--format=%i|%T"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    states = dict(line.strip().split("|") for line in said.splitlines() if "|" in line)
    over = (
        "COMPLETED",
        "FAILED",
        "CANCELLED",
        "TIMEOUT",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "BOOT_FAIL",
        "DEADLINE",
        "PREEMPTED",
        "REVOKED",
    )
    return {job: state for job, state in states.items() if state not in over}


def _read_jobs(folder: Path) -> dict[str, str]:
    try:
        return dict(json.loads((folder / JOBS).read_text()))
    except (OSError, ValueError):
        return {}
