"""Cells as jobs of Slurm, one each, submitted when what they need has ended.

What runs on a node is a plain command that reads JSON, ``workbench.study.cells.slurm_job``. A job that is preempted or
out of time saves its state, is queued again and goes on. Whoever watches may go at any time: jobs stay in the queue,
and the same command finds them there.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbench.runs import Run, replacing
from workbench.runs.slurm import SlurmSettings, queue, require_queue, scancel, submit_array
from workbench.study.cells.cell import Cell, ask

LOOK_EVERY = 3.0  # seconds between two looks at the queue
ENDING = 120.0  # seconds in which a job that is told to end is waited for: the usual KillWait is 30
FOLDER, JOBS = "slurm", "jobs.json"


class SlurmCells:
    """The cells that Slurm works on, at most ``asked.at_once``. In the study's folder ``slurm`` lie scripts, the logs
    of Slurm itself, and which cell is which job.

    Raises:
        WorkbenchError: Slurm does not answer, or (``start``) refuses a job.
    """

    def __init__(self, asked: SlurmSettings, root: Path) -> None:
        self.asked, self.logs, self.folder = asked, root / "logs", root / FOLDER
        self.cells: dict[str, Cell] = {}
        """What was submitted and has not ended, by its job."""
        for folder in (self.logs, self.folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._jobs = _read_jobs(root)
        self._missing: dict[str, int] = {}
        self._found: set[str] = set()  # jobs of an earlier command
        self._there = set(require_queue())

    @property
    def full(self) -> bool:
        return len(self.cells) >= self.asked.at_once

    def start(self, cell: Cell) -> None:
        """Submit it, unless its job of an earlier command is still in the queue."""
        job = self._jobs.get(cell.key)
        if job is not None and job in self._there:
            self._found.add(job)
        else:
            job = self._submit(cell)
            self._jobs[cell.key] = job
            with replacing(self.folder / JOBS) as partial:
                partial.write_text(json.dumps(self._jobs, indent=1) + "\n")
        self.cells[job] = cell

    def _submit(self, cell: Cell) -> str:
        work = {**ask(cell, self.logs.resolve()), "requeues": self.asked.requeues}
        file = (self.folder / f"{cell.name}.json").resolve()
        _answer(file).unlink(missing_ok=True)
        with replacing(file) as partial:
            partial.write_text(json.dumps(work, indent=1) + "\n")
        command = f"-u -m workbench.study.cells.slurm_job {shlex.quote(str(file))}"
        return f"{submit_array(command, 1, self.folder.resolve(), self.asked)}_0"

    def ended(self) -> Iterator[tuple[Cell, str]]:
        """Cells that have ended when Slurm is looked at next, each with why it failed or ""."""
        if not self.cells:
            return
        time.sleep(LOOK_EVERY)
        there = queue()
        if there is None:
            return  # the controller is away for a moment; the jobs are not
        self._there = set(there)
        for job, cell in list(self.cells.items()):
            self._missing[job] = 0 if job in there else self._missing.get(job, 0) + 1
            if self._missing[job] >= 2:  # one that is queued again may be away for a moment, a shared disk be late
                del self.cells[job]
                if job in self._found and not cell.done and not self._answer_of(cell).is_file():
                    self.start(cell)  # it was ending when it was found: cancelled, say
                else:
                    yield cell, "" if cell.done else self._why(cell, job)

    def _why(self, cell: Cell, job: str) -> str:
        answer = self._answer_of(cell)
        if answer.is_file() and (why := json.loads(answer.read_text()).get("failed")):
            return str(why)
        state = Run(cell.folder).told().get("state") if cell.state != "new" else "new"
        return f"its Slurm job {job} ended and left it {state}: see {self.logs / cell.name}.txt and the logs beside"

    def _answer_of(self, cell: Cell) -> Path:
        return _answer(self.folder / f"{cell.name}.json")

    def stop(self) -> None:
        """Have every job save its state and end, and wait for it."""
        if not self.cells:
            return
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(["scancel", *self.cells], check=False, timeout=60)
        until = time.monotonic() + ENDING
        while time.monotonic() < until:
            there = queue()
            if there is not None and not self.cells.keys() & there.keys():
                break
            time.sleep(1)

    def leave(self) -> None:
        """Whoever watches goes; the jobs stay."""
        if self.cells:
            print(
                f"The jobs of {len(self.cells)} cells stay in Slurm's queue: the same command watches them again and "
                f"submits the rest, `workbench status {self.folder.parent}` tells how they stand, "
                f"`{scancel(self.cells)}` ends them.",
                file=sys.stderr,
            )

    def close(self) -> None:
        """Nothing here has to be ended."""


def queued_cells(root: Path) -> dict[str, str]:
    """Job → its state in the queue, of the cells of a study that Slurm has."""
    jobs = set(_read_jobs(root).values())
    return {job: state for job, state in (queue() or {}).items() if job in jobs} if jobs else {}


def tell(file: Path, answer: dict[str, Any]) -> None:
    """How the job that was told by ``file`` ended."""
    with replacing(_answer(file)) as partial:
        partial.write_text(json.dumps(answer) + "\n")


def _answer(file: Path) -> Path:
    return file.with_suffix(".answer")


def _read_jobs(root: Path) -> dict[str, str]:
    try:
        return dict(json.loads((root / FOLDER / JOBS).read_text()))
    except (OSError, ValueError):
        return {}
