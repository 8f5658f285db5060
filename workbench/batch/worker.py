"""The process that runs notebooks one after the other: ``python -m workbench.batch.worker``, lines of JSON in and out.

It imports what Papermill and the export need once (2 s) and forks for each notebook, so that none inherits anything
from the one before. The fork is Papermill's process; the cells run in a kernel, which is a process again::

    whoever asked ──stdin, stdout── worker ──pipe── its fork for this notebook ── kernel ── what the cells start

Whichever of them is killed, those behind it notice and end: the worker by the end of its stdin, the fork and the kernel
by having lost their parent.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Any

from workbench.runs.forks import STOPS, serve

MARK = "WORKBENCH_BATCH_RUN"  # in the environment of every process of a run: its folder
SOCKETS = "workbench-kernel-"  # folders of this name and a process id in the temporary folder
stopping = threading.Event()


def main() -> int:
    return serve(
        _preload,
        _begin,
        lambda work: execute(Path(work["notebook"]), Path(work["output"]), work["values"], bar=not work.get("log")),
    )


def _preload() -> None:
    import papermill  # noqa: F401

    from workbench.batch import html

    html.preload()


def _begin(work: dict[str, Any]) -> None:
    os.environ[MARK] = str(Path(work["output"]).parent.resolve())
    for number in STOPS:
        signal.signal(number, _pass_on)


def _pass_on(signum: int, frame: Any) -> None:
    """A stop is for the cell: the job in it saves its state, however long that takes, and Papermill writes down what
    there is. (Left to itself Papermill would kill the kernel after five seconds.)"""
    import psutil

    stopping.set()
    kernels = psutil.Process().children()
    for kernel in kernels:
        kernel.send_signal(signal.SIGINT)
    if not kernels:
        raise KeyboardInterrupt


def _before_cell(**_: Any) -> None:
    """A stop between two cells, to which an idle kernel is deaf."""
    if stopping.is_set():
        raise KeyboardInterrupt


def execute(notebook: Path, output: Path, values: dict[str, Any], *, bar: bool = True) -> dict[str, Any]:
    """Run and export; ``{"failed": why, "cell": number, "traceback": text}`` where a cell failed, ``{"stopped": True}``
    where it was interrupted."""
    import papermill

    from workbench.batch.html import write_html

    told: dict[str, Any] = {}
    sockets = Path(tempfile.mkdtemp(prefix=f"{SOCKETS}{os.getpid()}-"))
    try:
        papermill.execute_notebook(
            str(notebook),
            str(output),
            parameters=values,
            config=private_sockets(sockets),
            progress_bar=bar,
            on_cell_start=_before_cell,
        )
    except papermill.PapermillExecutionError as error:
        told = {
            "failed": f"{error.ename}: {error.evalue}".removesuffix(": "),
            "cell": error.exec_count,
            "traceback": re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback)),
        }
        if error.ename == "KeyboardInterrupt":
            told = {"stopped": True}
    except Exception as error:  # a kernel that does not start or that was killed; the output holds what came before
        told = {"failed": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
    if output.is_file():
        write_html(output)
    return told


def private_sockets(folder: Path) -> Any:
    """Settings that let the kernel be reached through files in a folder of its own in place of TCP ports, which any
    user of a shared node can open and which kernels that start side by side now and then claim twice."""
    from traitlets.config import Config

    config = Config()
    if len(str(folder)) < 90:  # a socket's whole path may have 107 characters
        config.KernelManager.transport = "ipc"
        config.KernelManager.connection_file = str(folder / "k.json")
    return config


if __name__ == "__main__":
    sys.exit(main())
