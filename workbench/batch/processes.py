"""The processes of a run: how much memory they hold, and ending those that were left behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from workbench.batch.worker import MARK, SOCKETS

EVERY = 1.0  # seconds between two looks at the memory


class Memory:
    """Watches the memory of a process and of everything below it."""

    def __init__(self, limit_gb: float | None) -> None:
        self.limit_gb, self.peak_gb, self._next = limit_gb, 0.0, 0.0

    def over(self, pid: int) -> str:
        """Why the run has to end, or nothing. Looks at most once a second."""
        if time.monotonic() < self._next:
            return ""
        self._next = time.monotonic() + EVERY
        processes = _tree(pid)
        used = sum(_gigabytes(p, exact=False) for p in processes)
        if self.limit_gb and used > self.limit_gb:
            # pages that several processes share were counted several times; the exact count is slow, so only here
            used = sum(_gigabytes(p, exact=True) for p in processes)
        self.peak_gb = max(self.peak_gb, used)
        if self.limit_gb and used > self.limit_gb:
            return f"memory limit: {used:.2f} GB used, {self.limit_gb:g} GB allowed"
        return ""


def end_strays(below: Path) -> int:
    """End every process of a run at or below ``below``, and say how many there were.

    They carry their run's folder in their environment. Those of another Slurm job are left alone: they are no strays
    but runs, and Slurm ends what is left of a job.
    """
    import psutil

    below, strays = below.resolve(), []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.uids().real != os.getuid():
                continue
            environment = process.environ()
            if (
                (mark := environment.get(MARK))
                and Path(mark).is_relative_to(below)
                and environment.get("SLURM_JOB_ID") == os.environ.get("SLURM_JOB_ID")
                and not _is_ancestor(process)
            ):
                process.kill()
                strays.append(process)
    psutil.wait_procs(strays, timeout=5)
    for sockets in Path(tempfile.gettempdir()).glob(f"{SOCKETS}*"):  # of forks that were killed
        pid = sockets.name.removeprefix(SOCKETS).split("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)) and sockets.stat().st_uid == os.getuid():
            shutil.rmtree(sockets, ignore_errors=True)
    return len(strays)


def _is_ancestor(process: Any) -> bool:
    """A batch that runs inside a notebook of a batch must not end what it runs in."""
    import psutil

    return process.pid in {p.pid for p in psutil.Process().parents()}


def _tree(pid: int) -> list[Any]:
    import psutil

    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _gigabytes(process: Any, *, exact: bool) -> float:
    import psutil

    with contextlib.suppress(psutil.Error):
        if exact:
            info = process.memory_full_info()
            return float(getattr(info, "pss", info.uss)) / 1e9  # pss: shared pages in equal parts; only Linux has it
        return float(process.memory_info().rss) / 1e9
    return 0.0
