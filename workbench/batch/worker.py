"""The process that runs notebooks one after the other: ``python -m workbench.batch.worker``, lines of JSON in and out.

It imports what Papermill and the export need once (2 s) and forks for each notebook, so that none inherits anything
from the one before. The fork is Papermill's process; the cells run in a kernel, which is a process again::

    whoever asked ──stdin, stdout── worker ──pipe── its fork for this notebook ── kernel ── what the cells start

Whichever of them is killed, those behind it notice and end: the worker by the end of its stdin, the fork and the kernel
by having lost their parent.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any

MARK = "WORKBENCH_BATCH_RUN"  # in the environment of every process of a run: its folder
SOCKETS = "workbench-kernel-"  # folders of this name and a process id in the temporary folder
PARENT_GONE = 3
STOPS = (signal.SIGINT, signal.SIGTERM)
stopping = threading.Event()


def main() -> int:
    sys.stdin, asked = open(os.devnull), os.dup(0)  # noqa: SIM115 - the cells' libraries shall not read our questions
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a library that prints must not garble the answers
    for number in STOPS:  # a stop is for the fork; who asked tells us by closing stdin
        signal.signal(number, signal.SIG_IGN)
    if os.environ.get("SLURM_JOB_ID"):
        signal.signal(announcement(), signal.SIG_IGN)  # nor is this for the fork and the kernel, who inherit that
    import papermill  # noqa: F401

    from workbench.batch import report

    report.preload()
    questions = os.fdopen(asked, "rb", buffering=0)
    while line := questions.readline():
        work = json.loads(line)
        read, write = os.pipe()
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # a stop that comes now waits until the fork can take it
        fork = os.fork()
        if fork == 0:
            os.close(read)
            _run_as_fork(work, os.fdopen(write, "w"), leave=(asked, answers.fileno()))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        os.close(write)
        print(json.dumps({"pid": fork}), file=answers, flush=True)
        if (answer := _answer_of(fork, read, asked)) is None:
            return PARENT_GONE
        print(answer, file=answers, flush=True)
    return 0


def announcement() -> signal.Signals:
    """The signal by which Slurm announces the end of a job: to every process of it, as submitit asks. Unknown to
    most, it would kill them; submitit answers it in the job's first process."""
    return signal.Signals[f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}"]


def _answer_of(fork: int, read: int, asked: int) -> str | None:
    """What the fork said, or how it ended; None where nobody waits for it any more."""
    said = b""
    while True:
        ready, _, _ = select.select([read, asked], [], [])
        if asked in ready:  # nobody asks twice before an answer, so this is the end of stdin
            os.kill(fork, signal.SIGKILL)  # the kernel follows by itself
            return None
        if not (part := os.read(read, 1 << 16)):
            break
        said += part
    os.close(read)
    _, status = os.waitpid(fork, 0)
    if said:
        return said.decode().strip()
    how = f"was killed by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else \
        f"ended with status {os.waitstatus_to_exitcode(status)}"
    return json.dumps({"failed": f"its process {how}"})


def _run_as_fork(work: dict[str, Any], answer: Any, leave: tuple[int, ...]) -> None:
    """In the fork: run the notebook, answer, and leave without what the worker wanted to do at its own end."""
    status, worker = 1, os.getppid()
    try:
        for descriptor in leave:
            os.close(descriptor)
        os.setsid()
        if log := work.get("log"):
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
        threading.Thread(target=_end_with, args=(worker,), daemon=True).start()
        os.environ[MARK] = str(Path(work["output"]).parent.resolve())
        for number in STOPS:
            signal.signal(number, _pass_on)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        print(json.dumps(execute(Path(work["notebook"]), Path(work["output"]), work["values"],
                                 bar=not work.get("log"))), file=answer, flush=True)
        status = 0
    except KeyboardInterrupt:
        print(json.dumps({"stopped": True}), file=answer, flush=True)
        status = 130
    except BaseException as error:
        traceback.print_exc()
        print(json.dumps({"failed": f"{type(error).__name__}: {error}"}), file=answer, flush=True)
    finally:
        sys.stderr.flush()
        os._exit(status)


def _end_with(worker: int) -> None:
    while os.getppid() == worker:
        time.sleep(0.5)
    os._exit(PARENT_GONE)  # the kernel sees it and ends too


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

    from workbench.batch.report import write_html

    told: dict[str, Any] = {}
    sockets = Path(tempfile.mkdtemp(prefix=f"{SOCKETS}{os.getpid()}-"))
    try:
        papermill.execute_notebook(str(notebook), str(output), parameters=values, config=private_sockets(sockets),
                                   progress_bar=bar, on_cell_start=_before_cell)
    except papermill.PapermillExecutionError as error:
        told = {"failed": f"{error.ename}: {error.evalue}".removesuffix(": "), "cell": error.exec_count,
                "traceback": re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))}
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
