"""A process that imports what is slow to import once, and forks for each piece of work: lines of JSON in and out.

None inherits anything from the piece before. Whichever process is killed, those behind it notice and end::

    whoever asked ──stdin, stdout── server ──pipe── its fork for this piece ── what that starts

the server by the end of its stdin, the fork by having lost its parent. ``ForkServer`` is the side that asks.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

PARENT_GONE = 3
STOPS = (signal.SIGINT, signal.SIGTERM)


def serve(
    preload: Callable[[], None], begin: Callable[[dict[str, Any]], None], do: Callable[[dict[str, Any]], dict[str, Any]]
) -> int:
    """Answer questions on stdin until it ends.

    Args:
        preload: Imports, before the first fork; must start no thread.
        begin: In each fork, before ``do``: its environment and how it takes a stop.
        do: In each fork: the work, and what is answered. What it raises is answered as ``failed``, a KeyboardInterrupt
            as ``stopped``. What it prints goes to the file ``log`` of the question, where there is one.
    """
    sys.stdin, asked = open(os.devnull), os.dup(0)  # noqa: SIM115 - libraries shall not read our questions
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a library that prints must not garble the answers
    for number in STOPS:  # a stop is for the fork; who asked tells us by closing stdin
        signal.signal(number, signal.SIG_IGN)
    if os.environ.get("SLURM_JOB_ID"):
        signal.signal(announcement(), signal.SIG_IGN)  # nor is this for the fork and the kernel, who inherit that
    preload()
    questions = os.fdopen(asked, "rb", buffering=0)
    while line := questions.readline():
        work = json.loads(line)
        read, write = os.pipe()
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # a stop that comes now waits until the fork can take it
        fork = os.fork()
        if fork == 0:
            os.close(read)
            _run_as_fork(begin, do, work, os.fdopen(write, "w"), leave=(asked, answers.fileno()))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        os.close(write)
        print(json.dumps({"pid": fork}), file=answers, flush=True)
        if (answer := _answer_of(fork, read, asked)) is None:
            return PARENT_GONE
        print(answer, file=answers, flush=True)
    return 0


def announcement() -> signal.Signals:
    """The signal by which Slurm announces the end of a job: to every process of it, as submitit asks. Unknown to
    most, it would kill them; the job's first process answers it."""
    return signal.Signals[f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}"]


def _answer_of(fork: int, read: int, asked: int) -> str | None:
    """What the fork said, or how it ended; None where nobody waits for it any more."""
    said = b""
    while True:
        ready, _, _ = select.select([read, asked], [], [])
        if asked in ready:  # nobody asks twice before an answer, so this is the end of stdin
            os.kill(fork, signal.SIGKILL)  # what it started follows by itself
            return None
        if not (part := os.read(read, 1 << 16)):
            break
        said += part
    os.close(read)
    _, status = os.waitpid(fork, 0)
    if said:
        return said.decode().strip()
    how = (
        f"was killed by signal {os.WTERMSIG(status)}"
        if os.WIFSIGNALED(status)
        else f"ended with status {os.waitstatus_to_exitcode(status)}"
    )
    return json.dumps({"failed": f"its process {how}"})


def _run_as_fork(
    begin: Callable[[dict[str, Any]], None],
    do: Callable[[dict[str, Any]], dict[str, Any]],
    work: dict[str, Any],
    answer: Any,
    leave: tuple[int, ...],
) -> None:
    """In the fork: do the work, answer, and leave without what the worker wanted to do at its own end."""
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
        begin(work)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        print(json.dumps(do(work)), file=answer, flush=True)
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
    os._exit(PARENT_GONE)  # what it started sees that and ends too
