"""The run folder: what was asked, where it came from, how far it is, and what came out."""

from __future__ import annotations

import json
import math
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.html import facts_table
from workbench.runs.hold import LOCK, began, boot_id, earlier_life, held, process_lives, slurm
from workbench.runs.tables import read_parquet, write_parquet
from workbench.runs.texts import printable, read_json, read_yaml

if TYPE_CHECKING:
    import pandas as pd  # imported where it is used: `workbench JOB --help` does not wait for it


OWN_FILES = ("status.json", "config.yaml", "provenance.json")  # in this order they are written
STATES = ("running", "ok", "failed", "interrupted")
PARTIAL = ".partial-"  # and the pid: the beginning of a name under which a file is written before it is renamed


class Run:
    """A run folder, for reading and for writing. Nothing is cached: what is on disk is what is said."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / "status.json").is_file() and not is_run(self.path):
            raise WorkbenchError(
                f"{self.path}: not a run folder",
                cause=f"of {', '.join(OWN_FILES)} it has none, or one alone",
                remedy="give the folder that a `workbench` job wrote with --out",
            )

    @property
    def name(self) -> str:
        return printable(self.path.name)

    @property
    def job(self) -> str:
        return str(self.config.get("job", ""))

    @property
    def config(self) -> dict[str, Any]:
        return read_yaml(self.path / "config.yaml")

    @property
    def provenance(self) -> dict[str, Any]:
        return read_json(self.path / "provenance.json")

    @property
    def status(self) -> dict[str, Any]:
        """``{"state": "running" | "ok" | "failed" | "interrupted" | "killed", …}``; killed = no process behind it."""
        status = _read_status(self.path)
        if status.get("state") == "running" and not lives(self.path, status):
            again = _read_status(self.path)  # it may have ended well while we looked
            return {**status, "state": "killed"} if again == status else again
        return status

    def told(self) -> dict[str, Any]:
        """name, job, state, seconds, why and simulated, for a list of runs. Never raises: a run whose files cannot be
        read has the state "damaged", and ``why`` says which and how."""
        try:
            status, config = self.status, self.config
            return {
                "name": self.name,
                "job": str(config.get("job", "")),
                "state": status["state"],
                "seconds": status.get("seconds"),
                "why": str(status.get("why", "")),
                "simulated": self.simulated,
            }
        except Exception as error:  # whatever somebody's file holds, the other runs must still be listed
            why = f"{type(error).__name__}: {error}"
            if isinstance(error, WorkbenchError):
                why = f"{error.what}: {error.cause}"
            empty: dict[str, Any] = {"name": self.name, "job": "", "seconds": None, "simulated": False}
            return {**empty, "state": "damaged", "why": why}

    @property
    def ok(self) -> bool:
        return self.status.get("state") == "ok"

    @property
    def simulated(self) -> bool:
        """Whether any of the data behind this run is simulated; shown wherever the run is shown."""
        said = self.provenance.get("simulated", False)
        if not isinstance(said, bool):
            raise WorkbenchError(
                f"{self.path / 'provenance.json'}: cannot be read",
                cause=f"simulated is {str(said)[:60]!r}, neither true nor false",
                remedy="run its command again with --overwrite, or remove the folder",
            )
        return said

    def require_ok(self) -> Run:
        """This run, or an error that says how it ended."""
        status = self.status
        if status["state"] != "ok":
            raise WorkbenchError(
                f"{self.path}: this run is not finished",
                cause=f"its state is {status['state']}" + (f" ({status['why']})" if status.get("why") else ""),
                remedy="run its command again; it continues where it stopped",
            )
        return self

    def require_job(self, job: str, called: str) -> Run:
        """This run, finished and of ``job``, or an error that says what it is of; ``called``: what was asked for, as
        "an embed run"."""
        if self.require_ok().job != job:
            raise WorkbenchError(
                f"{self.path}: not {called}",
                cause=f"it is a run of '{self.job}'",
                remedy=f"give the folder that `workbench {job}` wrote",
            )
        return self

    def _repr_html_(self) -> str:
        """For a notebook's cell: what it is, how it ended, what it holds."""
        status, config = self.status, self.config
        settings = ", ".join(
            f"{k}={v}"
            for k, v in config.items()
            if k not in ("job", "out") and v is not None and not isinstance(v, dict)
        )
        seconds = status.get("seconds")
        return facts_table(
            f"{self.job}: {self.name}",
            {
                "state": status.get("state"),
                "why": status.get("why"),
                "took": None if seconds is None else f"{seconds:g} s",
                "folder": self.path,
                "tables": ", ".join(self.tables()),
                "settings": settings[:400] + "…" * (len(settings) > 400),
            },
            simulated=self.simulated,
        )

    # results -------------------------------------------------------------------------------------------------

    def tables(self) -> list[str]:
        return sorted(p.stem for p in (self.path / "results").glob("*.parquet"))

    def read_table(self, name: str) -> pd.DataFrame:
        path = self.path / "results" / f"{name}.parquet"
        if name not in self.tables():
            raise WorkbenchError(
                f"{self.path}: has no table '{name}'",
                cause=f"it has: {', '.join(self.tables())}",
                remedy="was the run finished? see its status.json",
            )
        return read_parquet(path)

    def write_table(self, name: str, table: pd.DataFrame) -> Path:
        path = self.path / "results" / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as partial:
            write_parquet(partial, table)
        return path

    def log(self, **values: Any) -> None:
        """Append one line to ``metrics.jsonl``."""
        with open(self.path / "metrics.jsonl", "a") as file:
            file.write(json.dumps({"time": round(time.time(), 3), **values}) + "\n")

    def metrics(self) -> pd.DataFrame:
        """``metrics.jsonl`` as a table; a half-written line (kill -9, a damaged disk) is left out."""
        import pandas as pd

        return pd.DataFrame([row for _, row in _logged(self.path)])

    def rewind(self, step: int) -> None:
        """Forget the lines of ``metrics.jsonl`` after ``step``, and what is no line of it, as half a one: a resumed run
        writes them again."""
        steps = [(line, row.get("step", 0)) for line, row in _logged(self.path)]
        kept = [line for line, at in steps if isinstance(at, int | float) and at <= step]
        with replacing(self.path / "metrics.jsonl") as partial:
            partial.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    def note(self, **facts: Any) -> None:
        """Add facts to ``provenance.json`` (cohort fingerprint, participants seen, seed, simulated …)."""
        write_json(self.path / "provenance.json", {**self.provenance, **facts})

    def set_status(self, state: str, **more: Any) -> None:
        write_json(self.path / "status.json", {**who(), "state": state, **more})


def _logged(run: Path) -> list[tuple[str, dict[str, Any]]]:
    """The lines of ``metrics.jsonl`` that can be read, as they stand and as values."""
    path, rows = run / "metrics.jsonl", []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else []:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        rows += [(line, row)] if isinstance(row, dict) else []
    return rows


def is_run(path: Path) -> bool:
    """Whether a folder is of a run, also of one that has lost a file of its own: it must be told as damaged, not vanish
    from the list. A single file of such a name may be anybody's."""
    # of a folder that may not be entered nothing is there; Path.exists would raise
    return sum(os.path.exists(path / name) for name in OWN_FILES) >= 2  # noqa: PTH110


def from_there(path: str | Path, run: Path) -> Path:
    """A path that a run's settings name. A relative one is from where its job was started, which need not be here:
    then it is mostly below a folder that the run lies in."""
    path = Path(path)
    if path.is_absolute() or path.exists():
        return path
    return next((above / path for above in run.resolve().parents if (above / path).exists()), path)


def find_runs(root: str | Path, *, depth: int = 3) -> dict[str, Run]:
    """Every run below ``root``, by its path relative to ``root`` (``"."`` for the root itself).

    A run is not searched, but for the folder ``runs`` in which a batch keeps its runs and a run of a batch those that
    its notebook made. ``depth`` counts the folders that are no runs between ``root``, or such a ``runs``, and a run.

    The keys are the only ids that other parts accept: an id from outside is looked up here, never joined to a path.
    """
    root = Path(root)
    found: dict[str, Run] = {}
    level = [(root, depth)]
    while level:
        below: list[tuple[Path, int]] = []
        for folder, left in level:
            if is_run(folder):
                found[printable(folder.relative_to(root).as_posix())] = Run(folder)
                below += [(folder / "runs", depth)] if _is_folder(folder / "runs") else []
            elif left > 0 and (folder != root or folder.is_dir()):
                below += [(p, left - 1) for p in _entries(folder) if _is_folder(p)]
        level = below
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:  # the runs in the folders beside it must still be found
        warnings.warn(f"{folder}: cannot be looked into: {error.strerror}", stacklevel=2)
        return []


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path) and not path.is_symlink()  # noqa: PTH112


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary sibling of ``path`` that takes its place when the block ends well."""
    partial = path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _read_status(path: Path) -> dict[str, Any]:
    status = read_json(path / "status.json")
    state, seconds = status.get("state"), status.get("seconds")
    wrong = {
        f"its state is {str(state)[:60]!r}, none of {', '.join(STATES)}": state not in STATES,
        f"its seconds are {str(seconds)[:60]!r}, no number": not (
            seconds is None or (isinstance(seconds, int | float) and math.isfinite(seconds))
        ),
    }
    if bad := [what for what, is_so in wrong.items() if is_so]:
        raise WorkbenchError(
            f"{path / 'status.json'}: cannot be read",
            cause="; ".join(bad),
            remedy="run its command again with --overwrite, or remove the folder",
        )
    return status


def lives(path: Path, status: dict[str, Any]) -> bool:
    """Whether somebody still works on the run at ``path`` whose status says running."""
    if (known := held(path)) is not None:
        return known
    if status.get("lock") == LOCK and not (path / LOCK).exists():
        return False  # somebody overrode it
    # it was written by a version before locks, or the lock is not ours to open
    if earlier_life(status):
        return False
    if status.get("boot") != boot_id():
        try:
            updated = datetime.fromisoformat(str(status.get("updated")))
            return abs((datetime.now(UTC) - updated).total_seconds()) < 3600
        except (ValueError, TypeError):
            return False
    return process_lives(status.get("pid"), status.get("began"))


def who() -> dict[str, Any]:
    """This process, for whoever looks at the run."""
    job = slurm()
    return {
        "pid": os.getpid(),
        "began": began(os.getpid()),
        "boot": boot_id(),
        "updated": _now(),
        "lock": LOCK,
        **({"slurm": job} if job else {}),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_json(path: Path, values: dict[str, Any]) -> None:
    with replacing(path) as partial:
        partial.write_text(json.dumps(values, indent=2, default=str) + "\n")
