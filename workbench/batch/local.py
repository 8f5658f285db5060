"""The runs of a batch on this machine: a thread and a worker process for each place, and runs from one queue."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

from workbench.batch.batch_config import BatchConfig
from workbench.batch.conduct import Limits, Worker, conduct, work_of
from workbench.batch.notebook import facts_after
from workbench.batch.plan import PlannedRun, Told
from workbench.batch.results import forget
from workbench.errors import WorkbenchError
from workbench.runs import start_run
from workbench.runs.fork_server import share_of_cores

Ended = tuple[PlannedRun | None, str]  # a run and why it failed; None: a place has closed


def run_locally(config: BatchConfig, todo: list[PlannedRun], told: Told) -> None:
    """Do every run of ``todo``, ``config.processes`` at a time.

    Raises:
        KeyboardInterrupt: after every run under way has been stopped; a second Ctrl-C kills them at once.
    """
    waiting: queue.SimpleQueue[PlannedRun] = queue.SimpleQueue()
    for planned in todo:
        waiting.put(planned)
    ended: queue.SimpleQueue[Ended] = queue.SimpleQueue()
    stop, limits = threading.Event(), Limits(config.minutes, config.memory_gb)
    workers = [Worker(environment(config, place)) for place in range(min(config.processes, len(todo)))]
    places = [threading.Thread(target=_place, args=(worker, waiting, ended, limits, stop)) for worker in workers]
    for place in places:
        place.start()
    stopped, open_places = False, len(places)
    while open_places:
        try:
            run, why = ended.get()
            if run is None:
                open_places -= 1
            else:
                told(run, why)
        except KeyboardInterrupt:
            if stopped:
                for worker in workers:
                    worker.process.kill()  # its fork and the kernel follow by themselves
            stopped = True
            stop.set()
    if stopped:
        raise KeyboardInterrupt


def environment(config: BatchConfig, place: int) -> dict[str, str]:
    """What a worker at one place adds to the environment: its share of the cores and of the devices."""
    added = share_of_cores(config.processes, config.threads)
    if config.devices:
        each = len(config.devices) // config.processes
        added["CUDA_VISIBLE_DEVICES"] = ",".join(config.devices[place * each : (place + 1) * each])
    return added


def do_run(planned: PlannedRun, worker: Worker, limits: Limits, stop: threading.Event | None = None) -> None:
    """One run of a batch from its start to its record; raises as ``conduct`` does."""
    with start_run(
        planned.config,
        inputs=planned.inputs,
        parameters=planned.given,
        notebook_fingerprint=planned.notebook_fingerprint,
    ) as run:
        out = planned.values.get("out")
        forget(out)
        conduct(run, work_of(run, Path(planned.notebook), planned.values, log=True), worker, limits, stop)
        run.note(**facts_after(out))


def _place(
    worker: Worker,
    waiting: queue.SimpleQueue[PlannedRun],
    ended: queue.SimpleQueue[Ended],
    limits: Limits,
    stop: threading.Event,
) -> None:
    """Take one run after the other until none is waiting. Whatever goes wrong with one, the next is taken."""
    try:
        with worker:
            while not stop.is_set():
                try:
                    run = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    do_run(run, worker, limits, stop)
                    ended.put((run, ""))
                except KeyboardInterrupt:
                    if not stop.is_set():  # somebody interrupted this run alone
                        ended.put((run, "it was interrupted"))
                except WorkbenchError as error:
                    ended.put((run, error.cause or error.what))
                except Exception as error:
                    ended.put((run, f"{type(error).__name__}: {error}"))
    finally:
        ended.put((None, ""))
