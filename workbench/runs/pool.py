"""Work on many scans at once, in processes that may die."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar

from workbench.errors import WorkbenchError

Item = TypeVar("Item")
Result = TypeVar("Result")

KILLED = "the process that worked on it was killed, alone too; most often the machine ran out of memory"
KILLED_REMEDY = "look at the scan and its size; on a machine with more memory run the same command again"


def available_cpus() -> int:
    """CPUs this process may use: a batch system often gives fewer than the machine has."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def in_processes(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    name: Callable[[Item], str],
    *,
    lost: Callable[[Item], Result] | None = None,
    begin: Callable[[], None] | None = None,
    apart: bool = False,
) -> Iterator[Result]:
    """``work`` on every item, the results as they come. One worker means this very process, unless ``apart``.

    Exactly as many items are handed out as there are workers, so that a death can be told with the items it concerns.
    Those are done again one by one, since nobody knows which of them took the memory, and the rest with half as many
    workers.

    Args:
        work: A function that can be sent to another process.
        items: What to work on; taken as needed.
        workers: Processes at a time.
        name: Of an item, for errors.
        lost: The result of an item that kills its process even alone, or is out of memory alone; see ``KILLED``.
        begin: Called once in each process, but for this one.
        apart: Whether one worker too is a process of its own, so that an item that kills it does not end this one, be
            it the first of all.

    Raises:
        WorkbenchError: a worker was killed and there is no ``lost``, or none of them ever came back.
        Exception: whatever else ``work`` raised; items not begun are dropped.
    """
    if workers == 1 and not apart:
        for item in items:
            try:
                result = work(item)
            except MemoryError as error:
                if lost is None:
                    raise _death([name(item)], 1, True) from error
                result = lost(item)
            yield result
        return
    waiting, came = iter(items), 0
    while True:
        more, suspects = yield from _until_a_death(work, waiting, workers, begin)
        came += more
        if not suspects:
            return
        names = [name(item) for item in suspects]
        print(f"a worker was killed or out of memory; again one by one: {', '.join(names)}", file=sys.stderr)
        for item in suspects:
            more, died = yield from _until_a_death(work, iter([item]), 1, begin)
            came += more
            if died and (lost is None or not (came or apart)):
                raise _death(names, workers, bool(came))
            if died and lost is not None:
                yield lost(item)
        workers = max(1, workers // 2)


def _until_a_death(
    work: Callable[[Item], Result], waiting: Iterator[Item], workers: int, begin: Callable[[], None] | None
) -> Generator[Result, None, tuple[int, list[Item]]]:
    """Results as they come, till all are there or a worker is killed. Returns how many came, and what was lost."""
    # spawn: a fork of a process with threads (tqdm, torch, a notebook) can deadlock
    context = multiprocessing.get_context("spawn")
    running: dict[Future[Result], Item] = {}
    suspects: list[Item] = []
    came = 0
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(begin,)) as pool:
        try:
            while True:
                for item in islice(waiting, workers - len(running)):
                    unsent: Future[Result] = Future()
                    running[unsent] = item  # known before it is sent: a death may come in between
                    sent = pool.submit(work, item)
                    running[sent] = running.pop(unsent)
                if not running:
                    return came, suspects
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    try:
                        result = future.result()
                    except MemoryError:
                        suspects.append(running.pop(future))
                        continue
                    del running[future]
                    came += 1
                    yield result
        except BrokenProcessPool:
            for future, item in running.items():
                if future.done() and not future.cancelled() and not future.exception():
                    came += 1
                    yield future.result()
                else:
                    suspects.append(item)
            return came, suspects
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _death(names: list[str], workers: int, some_came: bool) -> WorkbenchError:
    remedy = (
        f"run it again with --workers {max(1, workers // 2)}; what is done is kept. If the same scan is named "
        "each time, leave it out of the cohort"
    )
    if not some_came:
        remedy += '. Called from a script of your own? It needs `if __name__ == "__main__":` around the call'
    return WorkbenchError(
        "a worker process was killed",
        cause="most often the machine ran out of memory; in work: " + ", ".join(names),
        remedy=remedy,
    )


def _start_worker(begin: Callable[[], None] | None) -> None:
    # Ctrl-C reaches the whole process group: the parent decides, a worker finishes its scan
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")  # when memory runs out the kernel shall take a worker, whose scan is known, not the job
    end_with_parent()
    if begin is not None:
        begin()


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone: it would wait for work for ever."""
    parent: Any = multiprocessing.parent_process()
    if parent is None:
        return

    def leave() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=leave, daemon=True).start()
