"""What a job of Slurm does: ``python -m workbench.batch.slurm_job TASKS`` does one run of the array.

TASKS is a JSON file that ``workbench.batch.slurm`` wrote beside the batch's logs; the job's number in the array says
which of its runs. How the run ended stands in its folder: a failed notebook is no failed Slurm job.

Slurm tells a job before its wall time is over (and, on clusters that are set so, before it is preempted). The notebook
is then interrupted, so that the job in its cell saves its state, and the job is queued again. A job that Slurm preempts
by SIGTERM saves its state likewise, and Slurm itself queues it again.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workbench.batch.conduct import Limits, Worker
from workbench.batch.local import do_run
from workbench.batch.plan import PlannedRun
from workbench.errors import WorkbenchError
from workbench.runs import Run, replacing
from workbench.runs.forks import announcement

EARLY = 90.0  # seconds by which Slurm may announce the end of the wall time too early
OUT_OF_TIME = "slurm_out_of_time"  # in a run's provenance: how often, by job


@dataclass(frozen=True)
class Tasks:
    """Runs of an array, in its order, and what holds for each: limits, seconds of wall time, how often a run that is
    out of time is queued again."""

    runs: list[PlannedRun]
    limits: Limits
    wall_seconds: float
    requeues: int

    def save(self, path: Path) -> None:
        with replacing(path) as partial:
            partial.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Tasks:
        stored: dict[str, Any] = json.loads(path.read_text())
        return cls(
            **{**stored, "runs": [PlannedRun(**run) for run in stored["runs"]], "limits": Limits(**stored["limits"])}
        )


def main(words: Sequence[str] | None = None) -> int:
    began, stop = time.monotonic(), threading.Event()
    signal.signal(announcement(), lambda *_: stop.set())
    (path,) = sys.argv[1:] if words is None else words
    tasks = Tasks.load(Path(path))
    planned, job = tasks.runs[int(os.environ["SLURM_ARRAY_TASK_ID"])], job_id()
    try:
        with Worker() as worker:
            do_run(planned, worker, tasks.limits, stop)
    except WorkbenchError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        run = Run(planned.folder)
        if not stop.is_set():
            run.set_status("interrupted", why="stopped by Slurm or by scancel; a preempted job goes on")
            return 130
        late = time.monotonic() - began > tasks.wall_seconds - EARLY
        return _queue_again(run, job, tasks.requeues, late=late)
    return 0


def job_id() -> str:
    """As ``squeue --array`` names this job."""
    return f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"


def _queue_again(run: Run, job: str, requeues: int, *, late: bool) -> int:
    """Queue this job again, unless it has run out of its time too often; a preempted one always is."""
    times = int(run.provenance.get(OUT_OF_TIME, {}).get(job, 0)) + late
    run.note(**{OUT_OF_TIME: {job: times}})
    if late and times > requeues:
        why = (
            f"out of time {times} times (slurm.requeues is {requeues}); its state is saved, and the same "
            "command goes on with it"
        )
        run.set_status("interrupted", why=why)
        print(why, file=sys.stderr)
        return 130
    run.set_status("interrupted", why="stopped by Slurm, and queued again; it goes on from its saved state")
    subprocess.run(["scontrol", "requeue", job], check=True, timeout=60)
    return 130


if __name__ == "__main__":
    sys.exit(main())
