"""Work on many scans at once, in processes that may die."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, TypeVar

from workbench.errors import WorkbenchError

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cpus() -> int:
    """CPUs this process may use: a batch system often gives fewer than the machine has."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def in_processes(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int, name: Callable[[Item], str]
) -> Iterator[Result]:
    """``work`` on every item, the results as they come. One worker means this very process.

    Exactly as many items are handed out as there are workers, so that a death can be told with the items it concerns.

    Raises:
        WorkbenchError: a worker was killed, with the names of what was being worked on.
        Exception: whatever ``work`` raised; items not begun are dropped.
    """
    if workers == 1:
        yield from map(work, items)
        return
    waiting = iter(items)
    # spawn: a fork of a process with threads (tqdm, torch, a notebook) can deadlock
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker) as pool:
        running: dict[Future[Result], Item] = {}
        came = 0
        try:
            while True:
                for item in islice(waiting, workers - len(running)):
                    running[pool.submit(work, item)] = item
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    del running[future]
                    came += 1
                    yield result
        except BrokenProcessPool as error:
            lost = [name(item) for future, item in running.items() if not future.done() or future.exception()]
            raise _death(lost, workers, came) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _death(names: list[str], workers: int, came: int) -> WorkbenchError:
    remedy = (
        f"run it again with --workers {max(1, workers // 2)}; what is done is kept. If the same scan is named "
        "each time, leave it out of the cohort"
    )
    if not came:
        remedy += '. Called from a script of your own? It needs `if __name__ == "__main__":` around the call'
    return WorkbenchError(
        "a worker process was killed",
        cause="most often the machine ran out of memory; in work: " + ", ".join(names),
        remedy=remedy,
    )


def _start_worker() -> None:
    # Ctrl-C reaches the whole process group: the parent decides, a worker finishes its scan
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent: Any = multiprocessing.parent_process()

    def leave_with_parent() -> None:
        parent.join()
        os._exit(1)  # a worker whose parent was killed would wait for work for ever

    threading.Thread(target=leave_with_parent, daemon=True).start()
