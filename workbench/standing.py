"""How a run stands whose scans are spread over processes or Slurm, and the joining of what came.

``workbench status RUN`` and ``workbench collect RUN``, for whoever asked for the run and has left since.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.jobs import JOBS
from workbench.runs import Run
from workbench.runs.folder import is_run
from workbench.runs.parts import Parts
from workbench.runs.slurm import WAITING, queue, require_queue
from workbench.runs.spread import FOLDER, jobs_of, logs_of, read_shard
from workbench.runs.texts import read_json

LOGS = 3  # of shards that ended early: so many are named


@dataclass(frozen=True)
class Standing:
    """Scans of a run that is spread."""

    scans: set[str]
    done: set[str]
    shards: Counter[str] = field(default_factory=Counter)
    """done, running, queued, or ended: before its scans were done."""
    ended: tuple[str, ...] = ()
    """Names of the last kind."""
    queued: bool = False
    """Whether Slurm has any of it."""

    @property
    def left(self) -> int:
        return len(self.scans - self.done)


def standing(run: Run) -> Standing | None:
    """How far the shards of a run are; None where it has none (it is joined, or was never spread).

    Raises:
        WorkbenchError: its jobs were given to Slurm, and Slurm does not answer.
    """
    folder = run.path / FOLDER
    if not folder.is_dir():
        return None
    done = Parts.done_in(run)
    shards = [read_shard(folder.parent, file.stem) for file in sorted(folder.glob("*.json")) if not _is_list(file)]
    jobs = jobs_of(folder)
    there = require_queue() if jobs else {}
    at_work = run.status.get("state") == "running" and not jobs
    # a scan that is left may be in several shards: those of commands before the last
    scans = done.union(*(one.scans for one in shards))
    counts: Counter[str] = Counter()
    ended = []
    taken: set[str] = set()
    for one in sorted(shards, key=lambda one: (folder / f"{one.name}.json").stat().st_mtime_ns, reverse=True):
        mine = set(one.scans) - taken
        taken |= mine
        job = jobs.get(one.name)
        if set(one.scans) <= done:
            state = "done"
        elif job in there:
            state = "queued" if there[job] in WAITING else "running"
        elif at_work:
            state = "running" if (folder / f"{one.name}.log").is_file() else "queued"
        elif not mine - done:
            continue  # what it left is another's
        else:
            state = "ended"
            ended.append(one.name)
        counts[state] += 1
    return Standing(scans, done, counts, tuple(ended), bool(set(jobs.values()) & there.keys()))


def told(folder: Path) -> tuple[str, bool]:
    """How a run stands, in lines, and whether it has ended well."""
    from workbench.found import as_text
    from workbench.pretrain.cluster import folder_of, job_of
    from workbench.study.cells.on_slurm import queued_cells

    job = job_of(folder)
    if job is not None:
        state = next((state for name, state in (queue() or {}).items() if name.split("_")[0] == job), None)
        where = f"  Slurm job {job}: {state.lower() if state else 'no longer in the queue'}; logs: {folder_of(folder)}"
        if not is_run(folder):
            return f"{folder}: not begun\n{where}", False
    run = Run(folder)
    lines = [as_text(run)]
    if why := run.status.get("why"):
        lines.append(f"  {str(why).splitlines()[0]}")
    if job is not None:
        lines.append(where)
        if run.job == "pretrain" and not run.ok and len(steps := run.metrics()):
            lines.append(f"  {int(steps['step'].max())} steps are done")
    if run.job == "compare" and not run.ok and (cells := queued_cells(folder)):
        waiting = sum(state in WAITING for state in cells.values())
        lines.append(f"  Slurm has {len(cells)} of its cells: {len(cells) - waiting} running, {waiting} queued")
    found = None if run.ok else standing(run)
    if found is not None:
        counted = ", ".join(f"{found.shards[state]} {state}" for state in sorted(found.shards))
        lines.append(f"  {len(found.done)} of {len(found.scans)} scans; shards: {counted}")
        lines += [f"  ended before its scans were done: {log}" for log in _logs(run, found)]
        if found.queued:
            lines.append("  Slurm has jobs of it in its queue")
        elif run.status["state"] != "running":
            then = "does what is left" if found.left else "joins them; so does `workbench collect`"
            lines.append(f"  nobody works on it: the same command {then}")
    return "\n".join(lines), run.ok


def collect(folder: Path) -> Run:
    """Join what came of the shards of a run, and do the rest of the job, without the command that began it.

    Raises:
        WorkbenchError: scans are left, or in work; nothing is to be joined.
    """
    run = Run(folder)
    if run.ok:
        return run
    found = standing(run)
    if found is None:
        raise WorkbenchError(
            f"{folder}: nothing is to be joined",
            cause="its scans are not spread over processes",
            remedy="run its own command again; it continues where it stopped",
        )
    if found.left:
        raise WorkbenchError(
            f"{folder}: not all scans are done",
            cause=f"{found.left} of {len(found.scans)} scans are left"
            + ("; Slurm has jobs of it in its queue" if found.queued else ""),
            remedy="wait for the jobs" if found.queued else "run its own command again, which does these",
        )
    job = JOBS[run.job]
    values = {name: value for name, value in run.config.items() if name != "job"}
    return job.function()(job.config_class().build({**values, "out": folder, "executor": "local"}))


def _is_list(file: Path) -> bool:
    return "shards" in read_json(file)


def _logs(run: Run, found: Standing) -> list[str]:
    named = [log for name in found.ended for log in logs_of(run.path / FOLDER, name)[:1]]
    more = len(named) - LOGS
    return [*map(str, named[:LOGS]), *([f"{more} more in {run.path / FOLDER}"] if more > 0 else [])]
