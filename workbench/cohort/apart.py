"""The checks of a cohort in processes of their own, on this machine or through Slurm; see ``runs.spread``.

A process for a shard gathers the sources again, which reads no scan, and checks those of its own. What it found comes
back as rows of the run's parts. A scan is known by its place among all and by size and time of its files: of what an
earlier command left, nothing is taken that was changed since.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from workbench.cohort.check import Checked, Task
from workbench.errors import WorkbenchError
from workbench.runs import Run, digest_text
from workbench.runs.parts import Parts, forget
from workbench.runs.spread import Shard, ShardDone, SpreadConfig, spread, wait_for_earlier
from workbench.volumes import Grid, Guess

TABLE = "checked"
ROWS = 200  # read at a time: their pictures are what weighs

Numbered = tuple[int, Task]
Found = tuple[int, Checked]


def check_shard(
    run: Run, mine: Shard, tasks: Iterable[Numbered], check_all: Callable[[Iterator[Numbered], int], Iterable[Found]]
) -> None:
    """Check the scans of a shard, and write what was found.

    Args:
        run: Whose.
        mine: Names of scans, as ``name_of`` gives them.
        tasks: Of all scans of the run.
        check_all: Checks some, of which it is told how many there are.

    Raises:
        ShardDone: always, if nothing else: the rest of the job is for whoever asked.
        WorkbenchError: the sources are not what they were when the shard was cut.
    """
    wanted = {int(name.split("-")[0]): name for name in mine.scans}
    with Parts(run, of=mine) as parts:
        left = {number: name for number, name in wanted.items() if name not in parts.done}

        def own() -> Iterator[Numbered]:
            for number, task in tasks:
                if number in left:
                    if name_of(number, task) != left[number]:
                        raise WorkbenchError(
                            f"{task.path}: changed while the cohort was made",
                            cause="it, or the order of the scans, is not what it was when the work was shared out",
                            remedy="give the same command again once the sources are quiet",
                        )
                    yield number, task

        for number, found in check_all(own(), len(left)):
            parts.add(wanted[number], {TABLE: [{"scan_id": wanted[number], **as_row(found)}]})
    raise ShardDone


def check_apart(run: Run, tasks: Iterable[Numbered], how: SpreadConfig) -> Iterator[Found]:
    """Have every scan checked in shards, and hand out what was found in the order of the scans. It stays in the run
    till ``clear``."""
    names = [name_of(number, task) for number, task in tasks]
    parts = Parts(run)
    spread(run, names, parts.look, how, desc="check scans")
    file = parts.collect(TABLE)
    waiting: dict[int, Checked] = {}  # before its turn: shards come in order, the scans of one nearly
    turn = 0
    if file is not None:
        for batch in pq.ParquetFile(file).iter_batches(ROWS):
            for row in batch.to_pylist():
                number = int(row["scan_id"].split("-")[0])
                # a scan may have been checked twice, by shards that did not know of each other, and before a change
                if turn <= number < len(names) and names[number] == row["scan_id"]:
                    waiting.setdefault(number, from_row(row))
                while turn in waiting:
                    yield turn, waiting.pop(turn)
                    turn += 1


def clear(run: Run) -> None:
    """Remove what shards left, of this command or of an earlier one that was stopped."""
    wait_for_earlier(run)  # its jobs would write on
    forget(run)
    (run.path / "results" / f"{TABLE}.parquet").unlink(missing_ok=True)


def name_of(number: int, task: Task) -> str:
    """A scan, by its place and by what its files look like from outside."""
    files = [task.path, task.seg_path, task.mask_path, *(part.path for part in task.seg_parts)]
    files += [path for _, path in task.channels]
    files += [file.with_suffix(end) for file in files if file and file.suffix == ".img" for end in (".hdr", ".HDR")]
    what = repr(replace(task, stem=None))  # a process elsewhere may know the run's folder by another name
    return f"{number}-{digest_text(what, *(_outside(file) for file in files if file is not None))[:16]}"


def _outside(file: Path) -> str:
    try:
        there = file.stat()
    except OSError as error:  # the check tells it
        return type(error).__name__
    return f"{there.st_size} {there.st_mtime_ns} {there.st_ctime_ns}"  # the last for a chmod


@dataclass(frozen=True)
class _Plain:
    """How a field of ``Checked`` is written as JSON, and read."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


_PATH = _Plain(lambda path: None if path is None else str(path), lambda text: None if text is None else Path(text))
_PLAIN = {
    "grid": _Plain(
        lambda grid: None if grid is None else [[int(n) for n in grid.shape], grid.affine.tolist()],
        lambda told: None if told is None else Grid(tuple(told[0]), np.array(told[1], float)),
    ),
    "fingerprint": _Plain(_same, _same),
    "seg_fingerprint": _Plain(_same, _same),
    "mask_fingerprint": _Plain(_same, _same),
    "seg_path": _PATH,
    "mask_path": _PATH,
    "codes": _Plain(lambda a: a.tolist(), lambda told: np.array(told, np.int64).reshape(-1, 2)),
    "middles": _Plain(lambda a: a.tolist(), lambda told: np.array(told, np.float32)),
    "moved": _Plain(_same, _same),
    "remarks": _Plain(
        lambda remarks: [[isinstance(one, Guess), str(one)] for one in remarks],
        lambda told: tuple(Guess(text) if guess else text for guess, text in told),
    ),
    "channels": _Plain(_same, _same),
    "written": _Plain(
        lambda files: {name: str(path) for name, path in files.items()},
        lambda told: {name: Path(path) for name, path in told.items()},
    ),
    "problems": _Plain(_same, lambda told: [tuple(one) for one in told]),
}


def as_row(found: Checked) -> dict[str, Any]:
    """``{"found": JSON, "picture": bytes}``."""
    told = {name: plain.write(getattr(found, name)) for name, plain in _PLAIN.items()}
    return {"found": json.dumps(told), "picture": found.picture}


def from_row(row: dict[str, Any]) -> Checked:
    """What ``as_row`` was given."""
    told = json.loads(row["found"])
    return Checked(picture=row["picture"], **{name: plain.read(told[name]) for name, plain in _PLAIN.items()})
