"""A fork server seen from outside: questions to it, its answers, its end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import workbench
from workbench.runs.pool import available_cpus

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def share_of_cores(processes: int, threads: int = 0) -> dict[str, str]:
    """What each of some processes side by side adds to its environment: ``threads``, or an even share of the cores.

    The user's own choice wins over our sharing out, unless it is the user's setting that says otherwise.
    """
    number = threads or max(1, available_cpus() // processes)
    return {name: str(number) for name in THREADS if threads or name not in os.environ}


class ForkServer:
    """A process of ``module`` (whose main calls ``serve``), seen from outside; closed, it ends with its fork.

    ``words`` are its arguments, for a main that takes some.
    """

    def __init__(self, module: str, environment: Mapping[str, str] | None = None, words: Sequence[str] = ()) -> None:
        # it imports this very library, which is the one that the names of runs stand for
        path = [str(Path(workbench.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), **(environment or {})}
        self.command = [sys.executable, "-m", module, *words]
        self.process = self._spawn()
        self.fork: int | None = None

    def _spawn(self) -> subprocess.Popen[bytes]:
        # a session of its own: a Ctrl-C in the terminal reaches us alone, and we pass it on
        return subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            bufsize=0,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env=self.environment,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def start(self, work: dict[str, Any]) -> None:
        """Begin with a piece of work. What was begun is answered once, by ``poll``."""
        if self.process.poll() is not None:  # somebody killed it during the run before
            self.__exit__()
            self.process = self._spawn()
        assert self.process.stdin is not None
        self.fork = None
        with contextlib.suppress(BrokenPipeError):  # it has ended; poll says so
            self.process.stdin.write(json.dumps(work).encode() + b"\n")

    def poll(self, seconds: float) -> dict[str, Any] | None:
        """The answer, or None if there is none within ``seconds``."""
        assert self.process.stdout is not None
        end = time.monotonic() + seconds
        while select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))[0]:
            line = self.process.stdout.readline()
            if not line:
                return {"failed": f"its process ended with status {self.process.wait()}"}
            told = json.loads(line)
            if set(told) != {"pid"}:
                self.fork = None
                return told
            self.fork = told["pid"]
        return None

    def send(self, signum: int) -> None:
        """A signal to the fork, if it is running."""
        if self.fork is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.fork, signum)
