"""Work over scans in processes of their own, on this machine or through Slurm.

The scans that are left are cut into shards, each a run of neighbours in the run's own order. A shard is the same job
again, told by a file of JSON to do these scans and nothing else (``python -m workbench.shard RUN SHARD``): it holds no
lock and writes no status, only parts of its own into the run's folder ``parts``, and so any number may write at once.
The process that was asked waits, shows one progress over all, joins the parts and does the rest of the job.

What a shard has finished counts, however it ended: the same command again cuts only what is left into shards.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from workbench.errors import WorkbenchError
from workbench.runs.config import JobConfig
from workbench.runs.digest import digest_text
from workbench.runs.folder import Run, replacing
from workbench.runs.pool import available_cpus
from workbench.runs.slurm import ARRAY, SlurmSettings, submit_array, wait_until_gone
from workbench.runs.texts import read_json

FOLDER = "shards"
ARRAYS = "arrays"  # in it: the ids of what was submitted and may still be in the queue
SCANS_A_SHARD = 500  # through Slurm, where nothing is said: minutes to an hour
LOOK_EVERY = 2.0  # seconds between two looks at what is done


class SpreadConfig(JobConfig):
    """What every job over scans shares: where its scans are worked on. Not kept in config.yaml, since it changes no
    result."""

    executor: Literal["here", "local", "slurm"] = Field("here", exclude=True)
    """Where the scans are worked on: in this process (of `cohort` and `prepare`, in its workers), in several processes
    on this machine, or as an array of Slurm jobs."""
    shards: int = Field(0, ge=0, le=100_000, exclude=True)
    """Parts that the scans are cut into with --executor; 0: one a CPU on this machine, one for 500 scans with Slurm."""
    slurm: SlurmSettings = Field(default_factory=SlurmSettings, exclude=True)
    """What each shard asks of Slurm."""


@dataclass(frozen=True)
class Shard:
    """Some scans of a run, for a process of their own."""

    name: str
    """Of its content."""
    first: int
    """Place of its first scan among all: what comes of them is joined in this order."""
    scans: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    """Settings that config.yaml does not keep."""
    requeues: int = 0
    """How often its Slurm job is queued again when it is out of time."""


class ShardDone(BaseException):
    """The scans of this shard are done: what the job would do with all of them is for whoever asked."""


_shard: Shard | None = None


def shard() -> Shard | None:
    """The shard that this process is for; None in a process that does a whole job."""
    return _shard


@contextmanager
def as_shard(one: Shard) -> Iterator[None]:
    """Within the block, jobs do this shard alone."""
    global _shard
    before, _shard = _shard, one
    try:
        yield
    except ShardDone:
        pass
    finally:
        _shard = before


def read_shard(folder: Path, name: str) -> Shard:
    """A shard as ``spread`` wrote it; the name is one of ours, or the number in a list of names with ``@``."""
    if name.startswith("@"):
        names = read_json(folder / FOLDER / f"{name[1:]}.json")["shards"]
        name = names[int(os.environ["SLURM_ARRAY_TASK_ID"])]
    told = read_json(folder / FOLDER / f"{name}.json")
    return Shard(told["name"], int(told["first"]), tuple(told["scans"]), dict(told["settings"]), int(told["requeues"]))


def spread(run: Run, scans: Sequence[str], done: Callable[[], set[str]], how: SpreadConfig, *, desc: str) -> None:
    """Have every scan done that is not yet, and wait for it.

    Args:
        run: Held by this process.
        scans: All, in the run's order.
        done: Looks at what has been done.
        how: Where.
        desc: For the progress.

    Raises:
        WorkbenchError: some shards ended without all of their scans; what they did is kept.
        KeyboardInterrupt: stopped. Processes of this machine end; jobs of Slurm stay, and are waited for again.
    """
    from tqdm.auto import tqdm  # not needed to say --help

    folder = run.path / FOLDER
    folder.mkdir(exist_ok=True)
    with tqdm(total=len(scans), desc=desc, unit="scan") as bar:

        def show() -> None:
            bar.n = len(done() & whole)
            bar.refresh()

        whole = set(scans)
        if how.executor == "slurm":
            _wait_for_array(folder, show)  # of a command that was stopped: its jobs may still be at work
        for file in folder.glob("*.json"):
            if not set(read_json(file).get("scans", ())) <= whole:
                file.unlink()  # of scans that are no more, or are others since: nobody will do them
        there = done()
        left = [(place, scan) for place, scan in enumerate(scans) if scan not in there]
        shards = [_write(folder, part, how) for part in _cut(left, how)]
        if how.executor == "slurm":
            _through_slurm(run, shards, how, show)
        else:
            _in_processes(run, shards, show)
        show()
    missing = whole - done()
    if missing:
        failed = [one for one in shards if set(one.scans) & missing]
        raise WorkbenchError(
            f"{run.path}: {len(failed)} of {len(shards)} shards ended before their scans were done",
            cause=f"{len(missing)} of {len(scans)} scans are left; {_last_words(folder, failed[0])}",
            remedy=f"see the logs in {folder}; the same command does what is left, and nothing else",
        )


def _cut(left: list[tuple[int, str]], how: SpreadConfig) -> list[list[tuple[int, str]]]:
    """Runs of neighbours, as even as can be."""
    usual = available_cpus() if how.executor == "local" else -(-len(left) // SCANS_A_SHARD)
    count = min(how.shards or usual, len(left))
    ends = [len(left) * k // count for k in range(count + 1)] if count else []
    return [left[a:b] for a, b in pairwise(ends)]


def _write(folder: Path, part: list[tuple[int, str]], how: SpreadConfig) -> Shard:
    scans = tuple(scan for _, scan in part)
    workers = {"workers": how.slurm.cpus if how.executor == "slurm" else 1}
    settings = {name: value for name, value in workers.items() if name in type(how).model_fields}
    one = Shard(digest_text(*scans)[:12], part[0][0], scans, settings, how.slurm.requeues)
    with replacing(folder / f"{one.name}.json") as partial:
        partial.write_text(json.dumps(asdict(one)) + "\n")
    return one


def _in_processes(run: Run, shards: list[Shard], show: Callable[[], None]) -> None:
    """All shards in processes of this machine, as many at a time as there are CPUs."""
    cpus = available_cpus()
    at_once = max(1, min(cpus, len(shards)))
    threads = str(max(1, cpus // at_once))
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "TQDM_DISABLE": "1"}
    waiting = list(shards)
    running: list[subprocess.Popen[bytes]] = []
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                one = waiting.pop(0)
                with open(run.path / FOLDER / f"{one.name}.log", "w") as log:
                    command = [sys.executable, "-u", "-m", "workbench.shard", str(run.path), one.name, str(os.getpid())]
                    running.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
            time.sleep(LOOK_EVERY / 4)
            running = [process for process in running if process.poll() is None]
            show()
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)  # each writes what it has done
        for process in running:
            process.wait()


def _through_slurm(run: Run, shards: list[Shard], how: SpreadConfig, show: Callable[[], None]) -> None:
    folder = run.path / FOLDER
    for start in range(0, len(shards), ARRAY):
        part = [one.name for one in shards[start : start + ARRAY]]
        listed = digest_text(*part)[:12]
        with replacing(folder / f"{listed}.json") as partial:
            partial.write_text(json.dumps({"shards": part}) + "\n")
        command = f"-u -m workbench.shard {shlex.quote(str(run.path.resolve()))} @{listed}"
        job = submit_array(command, len(part), folder.resolve(), how.slurm)
        with open(folder / ARRAYS, "a") as file:
            file.write(f"{job}\n")
        with replacing(folder / f"{listed}.json") as partial:  # by which a shard's log and place in the queue are found
            partial.write_text(json.dumps({"shards": part, "job": job}) + "\n")
    try:
        _wait_for_array(folder, show)
    except KeyboardInterrupt:
        print(
            f"The jobs stay in Slurm's queue: `workbench status {run.path}` tells how they stand, the same command "
            "waits for them again.",
            file=sys.stderr,
        )
        raise


def wait_for_earlier(run: Run) -> None:
    """Until no job that an earlier command submitted for this run is in Slurm's queue."""
    _wait_for_array(run.path / FOLDER, lambda: None)


def _wait_for_array(folder: Path, show: Callable[[], None]) -> None:
    """Until no job of an array that was submitted for this run is in the queue."""
    file = folder / ARRAYS
    if not file.is_file():
        return
    wait_until_gone(set(file.read_text().split()), show, LOOK_EVERY)
    file.unlink()


def _last_words(folder: Path, one: Shard) -> str:
    """The end of what a shard said."""
    logs = logs_of(folder, one.name)
    for log in logs:
        if lines := log.read_text(errors="replace").strip().splitlines():
            told = [line for line in lines if "error: " in line]  # else libraries have the last word
            return f"the last words of one, in {log.name}: {(told or lines)[-1][:200]}"
    return "one of them said nothing" if logs else "one of them left no log"


def logs_of(folder: Path, shard: str) -> list[Path]:
    """What a shard wrote while it worked, on this machine or as a job, as submitit names them."""
    job = jobs_of(folder).get(shard)
    names = [f"{shard}.log", *([] if job is None else [f"{job}_0_log.err", f"{job}_0_log.out"])]
    return [folder / name for name in names if (folder / name).is_file()]


def jobs_of(folder: Path) -> dict[str, str]:
    """Shard → its job in Slurm, of those that were submitted; of several the last."""
    found: dict[str, str] = {}
    for file in sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime_ns):
        told = read_json(file)
        if "job" in told:
            found |= {name: f"{told['job']}_{place}" for place, name in enumerate(told["shards"])}
    return found
