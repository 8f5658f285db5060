"""A worker process seen from outside, and one run in it: its limits, its end, its record."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.batch.processes import Memory, end_strays
from workbench.errors import WorkbenchError
from workbench.runs import Run
from workbench.runs.fork_server import ForkServer

HEARTBEAT = 300.0  # seconds after which the status says again that the run is alive, for readers on other machines
LOG, TRACEBACK = "log.txt", "traceback.txt"


@dataclass(frozen=True)
class Limits:
    """``minutes`` and ``memory_gb`` of a run (None is no limit), and the seconds of ``patience`` once it is stopped, so
    that the job in its cell can save its state."""

    minutes: float | None = None
    memory_gb: float | None = None
    patience: float = 60.0


class Worker(ForkServer):
    """Runs notebooks one after the other, each in a fork of its own; closed, it ends with its fork."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        super().__init__("workbench.batch.worker", environment)


def conduct(
    run: Run, work: dict[str, Any], worker: Worker, limits: Limits | None = None, stop: threading.Event | None = None
) -> None:
    """Run a notebook in ``worker`` to its end, within ``limits``, and note the memory it took.

    Args:
        run: The run folder it belongs to, already marked as running.
        work: ``notebook``, ``output``, ``values``, and ``log`` for what it prints.
        stop: Set by another thread to end the run as Ctrl-C would.

    Raises:
        WorkbenchError: a cell failed or a limit was passed; the traceback lies in ``traceback.txt``.
        KeyboardInterrupt: it was stopped; by then its processes have ended.
    """
    limits = limits or Limits()
    (run.path / TRACEBACK).unlink(missing_ok=True)
    run.note(failure=None)
    memory, began, heartbeat = Memory(limits.memory_gb), time.monotonic(), time.monotonic()
    why, until = "", float("inf")  # why it has to end, and how long it may take to do so
    due = 0  # a signal for the notebook's process, which may not be there yet
    worker.start(work)
    while True:
        try:
            told = worker.poll(0.25)
            if told is not None:
                break
            now = time.monotonic()
            if worker.fork is None:
                continue
            if now > until:
                due = signal.SIGKILL
            if due:
                worker.send(due)
                due = 0
            elif over := memory.over(worker.fork):
                why, until = over, now  # it cannot be asked to save its state: that takes memory
            elif not why and (limits.minutes and now > began + 60 * limits.minutes):
                why, due = f"time limit: ended after {limits.minutes:g} minutes", signal.SIGINT
                until = now + limits.patience
            elif not why and stop is not None and stop.is_set():
                raise KeyboardInterrupt
            if now > heartbeat + HEARTBEAT:
                heartbeat = now
                run.set_status("running")
        except KeyboardInterrupt:
            due = signal.SIGKILL if why == "stopped" else signal.SIGINT
            why, until = "stopped", min(until, time.monotonic() + limits.patience)
    end_strays(run.path)
    run.note(memory_gb=round(memory.peak_gb, 3))
    if why == "stopped" or (told.get("stopped") and not why):
        raise KeyboardInterrupt
    if why or told.get("failed"):
        text, cause = told.get("traceback") or told.get("failed") or "", why or str(told["failed"])
        run.note(failure=cause)
        (run.path / TRACEBACK).write_text(f"{why}\n{text}".strip() + "\n")
        where = f", cell {told['cell']}" if told.get("cell") else ""
        raise WorkbenchError(
            f"{work['output']}: the notebook failed{where}",
            cause=cause,
            remedy="the notebook at this path holds the outputs and the traceback; correct the cause "
            "and run the same command again",
        )


def work_of(run: Run, notebook: Path, values: dict[str, Any], *, log: bool) -> dict[str, Any]:
    """The question to a worker for a run that writes into ``run``."""
    return {
        "notebook": str(notebook),
        "output": str(run.path / "notebook.ipynb"),
        "values": values,
        **({"log": str(run.path / LOG)} if log else {}),
    }
