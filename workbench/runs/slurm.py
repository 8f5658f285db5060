"""Slurm: what a job asks of it, an array of plain commands submitted with submitit, and the queue.

submitit writes the script for ``sbatch`` and submits it. What then runs on a node is a plain command that reads JSON:
submitit's own way stores a function as a pickle, which the job would read from the disk.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pydantic import Field

from workbench.errors import WorkbenchError
from workbench.runs.config import Settings, Values
from workbench.runs.folder import replacing
from workbench.runs.forks import announcement

ARRAY = 1000  # Slurm's usual MaxArraySize is 1001
WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "SUSPENDED", "CONFIGURING")
OVER = (
    *("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"),
    *("BOOT_FAIL", "DEADLINE", "PREEMPTED", "REVOKED"),
)


class SlurmSettings(Settings):
    """What each job asks of Slurm; read with --executor slurm."""

    partition: str | None = None
    """Partition, or several with commas; none takes the cluster's default."""
    account: str | None = None
    """Account to charge."""
    qos: str | None = None
    """Quality of service."""
    constraint: str | None = None
    """Features that a node must have."""
    gpus: int = Field(0, ge=0)
    """GPUs a run."""
    cpus: int = Field(1, ge=1)
    """CPU cores a run."""
    hours: float = Field(24.0, gt=0)
    """Wall time of one allocation. A run that needs longer saves its state, is queued again and goes on."""
    requeues: int = Field(3, ge=0)
    """How often a run that ran out of `hours` is queued again; preempted runs are queued again without limit."""
    grace_seconds: int = Field(90, ge=10)
    """How long before the end of `hours` a run is told to save its state."""
    at_once: int = Field(256, ge=1)
    """Runs of one array at the same time."""
    setup: tuple[str, ...] = ()
    """Shell lines before each run, such as `module load cuda`."""
    extra: Values = Field(default_factory=dict)
    """Further options of sbatch by their long names."""


def submit_array(
    command: str,
    count: int,
    folder: Path,
    asked: SlurmSettings,
    *,
    memory_gb: float | None = None,
    threads: int = 0,
    nodes: int = 1,
    tasks_per_node: int = 1,
) -> str:
    """Submit ``count`` jobs of one command, which tells them apart by ``SLURM_ARRAY_TASK_ID``; returns the array's id.

    Args:
        command: What follows the name of the Python that runs this.
        count: At most ``ARRAY``.
        folder: For the scripts and the logs.
        asked: Of Slurm.
        memory_gb: Of a job.
        threads: For numerical libraries; 0 takes as many as there are cores.
        nodes: Of each job.
        tasks_per_node: Processes that each job starts on each of its nodes.

    Raises:
        WorkbenchError: submitit is not there, or Slurm refuses.
    """
    try:
        import submitit
        from submitit.core.utils import FailedJobError, FailedSubmissionError
    except ImportError as error:
        raise WorkbenchError(
            "Slurm jobs cannot be submitted", cause=str(error), remedy="pip install 'volta-workbench[slurm]'"
        ) from error
    threads = threads or asked.cpus
    options = {
        "job_name": "workbench",
        "time": math.ceil(60 * asked.hours),
        "signal_delay_s": asked.grace_seconds,
        "cpus_per_task": asked.cpus,
        "array_parallelism": asked.at_once,
        "partition": asked.partition,
        "account": asked.account,
        "qos": asked.qos,
        "constraint": asked.constraint,
        "gpus_per_node": asked.gpus or None,
        # a little more than our own limit, so that it is ours that is passed first and says so
        "mem": f"{math.ceil(1024 * (memory_gb * 1.05 + 0.5))}M" if memory_gb else None,
        "nodes": nodes,
        "ntasks_per_node": tasks_per_node,
        "additional_parameters": {"requeue": True, **asked.extra},
        # since 22.05 srun gives a process one core, whatever the job has, unless it is told
        "setup": [
            f"export OMP_NUM_THREADS={threads} MKL_NUM_THREADS={threads} SRUN_CPUS_PER_TASK={asked.cpus}",
            *asked.setup,
        ],
    }
    try:
        executor = submitit.SlurmExecutor(folder=folder)
        executor.update_parameters(**{name: value for name, value in options.items() if value is not None})
        executor.parameters["map_count"] = count  # an array, of one run too
        return str(executor._submit_command(f"{executor.python} {command}").job_id)
    except (FailedSubmissionError, FailedJobError, RuntimeError, subprocess.CalledProcessError) as error:
        raise WorkbenchError(
            "Slurm refused the jobs",
            cause=str(error).strip()[:500],
            remedy="check slurm.partition, slurm.account, slurm.gpus and slurm.hours",
        ) from error


def queue() -> dict[str, str] | None:
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
    return {job: state for job, state in states.items() if state not in OVER}


def wait_until_gone(arrays: set[str], show: Callable[[], None], every: float) -> None:
    """Until no job of these arrays is in the queue.

    Args:
        arrays: As ``submit_array`` gave them.
        show: Called between two looks.
        every: Seconds between two looks.
    """
    require_queue()
    missing = 0
    while missing < 2:  # a job that is queued again may be out of the queue for a moment
        there = queue()
        if there is not None:  # else the controller is away for a moment; the jobs are not
            missing = 0 if {job.split("_")[0] for job in there} & arrays else missing + 1
        show()
        time.sleep(every)


def listen() -> threading.Event:
    """Take Slurm's announcement that the time of this job is nearly over: the event is set, and this process is asked
    to stop, as by SIGTERM.

    Slurm sends it to every process of the job, and it ends whoever does not know it: a worker would seem to be killed
    by its scan. So it is blocked, here and in all that this process starts, and a thread waits for it. Called before
    other threads are started.
    """
    announced, number = threading.Event(), announcement()

    def take(*_: Any) -> None:
        if not announced.is_set():
            announced.set()
            os.kill(os.getpid(), signal.SIGTERM)

    def wait() -> None:
        signal.sigwait({number})
        take()

    signal.signal(number, take)  # for a thread of a library that was there before
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    threading.Thread(target=wait, daemon=True).start()
    return announced


def queue_again(requeues: int, folder: Path) -> bool:
    """Queue this very job again, since its time is nearly over; False where it has been often enough, or is no job.

    Args:
        requeues: How often.
        folder: Where it is counted: Slurm's own count has the preemptions in it, which are without limit.
    """
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    if array is None:
        return False
    job = f"{array}_{task}"
    counted = folder / f"{job}.requeues"
    times = int(counted.read_text()) if counted.is_file() else 0
    if times >= requeues:
        print(f"out of time {times + 1} times (slurm.requeues is {requeues}); not queued again", file=sys.stderr)
        return False
    with replacing(counted) as partial:
        partial.write_text(f"{times + 1}\n")
    subprocess.run(["scontrol", "requeue", job], check=True, timeout=60)
    return True


def scancel(jobs: Iterable[str]) -> str:
    """The command that ends jobs, or the arrays that they are of."""
    return " ".join(["scancel", *sorted({job.split("_")[0] for job in jobs})])


def require_queue() -> dict[str, str]:
    """The queue, or an error where Slurm does not answer."""
    found = queue()
    if found is None:
        raise WorkbenchError(
            "Slurm does not answer",
            cause="squeue failed",
            remedy="run this where `squeue` works, or without --executor slurm",
        )
    return found
