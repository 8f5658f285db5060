"""The run folder: what was asked, where it came from, how far it is, and what came out."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from workbench.errors import ConfigError, WorkbenchError
from workbench.html import facts_table
from workbench.runs import provenance
from workbench.runs.config import JobConfig, differing, read_yaml
from workbench.runs.hold import LOCK, began, boot_id, held, holding, process_lives, slurm

if TYPE_CHECKING:
    import pandas as pd  # imported where it is used: `workbench JOB --help` does not wait for it


PARTIAL = ".partial-"  # and the pid: the beginning of a name under which a file is written before it is renamed


class Run:
    """A run folder, for reading and for writing. Nothing is cached: what is on disk is what is said."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / "status.json").is_file():
            raise WorkbenchError(
                f"{self.path}: not a run folder",
                cause="it has no status.json",
                remedy="give the folder that a `workbench` job wrote with --out",
            )

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def job(self) -> str:
        return str(self.config.get("job", ""))

    @property
    def config(self) -> dict[str, Any]:
        return read_yaml(self.path / "config.yaml")

    @property
    def provenance(self) -> dict[str, Any]:
        return _read_json(self.path / "provenance.json")

    @property
    def status(self) -> dict[str, Any]:
        """``{"state": "running" | "ok" | "failed" | "interrupted" | "killed", …}``; killed = no process behind it."""
        status = _read_json(self.path / "status.json")
        if status.get("state") == "running" and not _lives(self.path, status):
            again = _read_json(self.path / "status.json")  # it may have ended well while we looked
            return {**status, "state": "killed"} if again == status else again
        return status

    @property
    def ok(self) -> bool:
        return self.status.get("state") == "ok"

    @property
    def simulated(self) -> bool:
        """Whether any of the data behind this run is simulated; shown wherever the run is shown."""
        return bool(self.provenance.get("simulated", False))

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
        import pandas as pd

        return pd.read_parquet(path)

    def write_table(self, name: str, table: pd.DataFrame) -> Path:
        path = self.path / "results" / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as partial:
            table.to_parquet(partial, index=False)
        return path

    def log(self, **values: Any) -> None:
        """Append one line to ``metrics.jsonl``."""
        with open(self.path / "metrics.jsonl", "a") as file:
            file.write(json.dumps({"time": round(time.time(), 3), **values}) + "\n")

    def metrics(self) -> pd.DataFrame:
        """``metrics.jsonl`` as a table; a half-written last line (kill -9) is left out."""
        path, rows = self.path / "metrics.jsonl", []
        for line in path.read_text().splitlines() if path.is_file() else []:
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        import pandas as pd

        return pd.DataFrame(rows)

    def rewind(self, step: int) -> None:
        """Forget the lines of ``metrics.jsonl`` after ``step``, and half a line: a resumed run writes them again."""
        path, kept = self.path / "metrics.jsonl", []
        for line in path.read_text().splitlines(keepends=True) if path.is_file() else []:
            try:
                if json.loads(line).get("step", 0) <= step:
                    kept.append(line)
            except json.JSONDecodeError:
                continue
        with replacing(path) as partial:
            partial.write_text("".join(kept))

    def note(self, **facts: Any) -> None:
        """Add facts to ``provenance.json`` (cohort fingerprint, participants seen, seed, simulated …)."""
        _write_json(self.path / "provenance.json", {**self.provenance, **facts})

    def set_status(self, state: str, **more: Any) -> None:
        _write_json(self.path / "status.json", {**_who(), "state": state, **more})


@contextmanager
def start_run(
    config: JobConfig, *, overwrite: bool = False, inputs: dict[str, str] | None = None, **facts: Any
) -> Iterator[Run]:
    """Make or continue the run folder ``config.out`` and keep its status true to the end.

    An unfinished folder with the same configuration is continued (what that means is the job's business); a
    folder with another configuration, or made from other inputs, is refused with the differences, unless
    ``overwrite``, or where the configuration says that it ``extends`` what is there.

    Args:
        config: The complete configuration; written as ``config.yaml``.
        overwrite: Remove what is there.
        inputs: Fingerprint of the content of everything read (store, split, encoder). A path says where something is,
            not what: without this, a run stopped half way could go on with other people than it began with.
        facts: Provenance known before the work starts (seed, inputs, simulated …).
    """
    path = config.out
    _require_ours(path, overwrite)
    path.mkdir(parents=True, exist_ok=True)
    with holding(path):
        _require_ours(path, overwrite)
        if overwrite:
            _empty_run(path)
        _require_same(config, inputs)
        # the status first: a folder that a kill left without configuration is then known as ours
        _write_json(path / "status.json", {**_who(), "state": "running"})
        with replacing(path / "config.yaml") as partial:
            partial.write_text(config.to_yaml())
        before = _read_json(path / "provenance.json") if (path / "provenance.json").is_file() else {}
        known = {"inputs": inputs} if inputs is not None else {}
        _write_json(path / "provenance.json", {**before, **provenance.collect(), **known, **facts})
        with _ending_true(Run(path)) as run:
            yield run


@contextmanager
def _ending_true(run: Run) -> Iterator[Run]:
    """The status at the end says how the block ended."""
    started = time.time()
    try:
        with _sigterm_as_interrupt():
            yield run
    except KeyboardInterrupt as stop:
        run.set_status("interrupted", why="stopped by the user", seconds=round(time.time() - started, 1))
        if not stop.args:
            said = f"{run.path}: stopped. What was finished is kept: run the same cell or command again to continue"
            stop.args = (said,)
            # a notebook shows this line alone: where a stop was noticed is of no use to who asked for it
            stop._render_traceback_ = lambda: [f"KeyboardInterrupt: {said}"]  # type: ignore[attr-defined]
        raise
    except BaseException as error:
        run.set_status("failed", why=f"{type(error).__name__}: {error}", seconds=round(time.time() - started, 1))
        raise
    run.set_status("ok", seconds=round(time.time() - started, 1))


def _require_ours(path: Path, overwrite: bool) -> None:
    """Refuse a folder of somebody's that is no run folder, before anything is written into it, and one in which a
    process of an earlier version, which holds no lock, still writes."""
    if (path / "status.json").is_file():
        status = _read_json(path / "status.json")
        if status.get("state") == "running" and held(path) is None and _lives(path, status):
            raise WorkbenchError(
                f"{path}: is being written by another process",
                cause=f"its status says running, by process {status.get('pid')}",
                remedy="wait for it, or stop it, and try again",
            )
    elif path.exists() and any(p.name != LOCK and not p.name.startswith(PARTIAL) for p in path.iterdir()):
        what = "not a run folder, so it is not overwritten" if overwrite else "exists and is not a run folder"
        raise ConfigError(f"{path}: {what}", remedy="choose another --out")


def _require_same(config: JobConfig, inputs: dict[str, str] | None) -> None:
    """Refuse a run of other settings, or made from other inputs."""
    path = config.out
    if not (path / "config.yaml").is_file() or config.extends:
        return
    old, new = read_yaml(path / "config.yaml"), yaml.safe_load(config.to_yaml())
    changed = [line for line in differing(old, new) if not line.startswith("out: ")]
    if changed:
        raise ConfigError(
            f"{path}: holds a run with other settings",
            cause="; ".join(changed),
            remedy="choose another --out, or add --overwrite to replace it",
        )
    if moved := _changed_inputs(path, inputs):
        raise ConfigError(
            f"{path}: holds a run made from other inputs",
            cause=f"changed since: {', '.join(moved)}",
            remedy="choose another --out, or add --overwrite to make it again from what is there now",
        )


def _changed_inputs(path: Path, inputs: dict[str, str] | None) -> list[str]:
    """Names of the inputs whose content is not what the run at ``path`` was made from."""
    if inputs is None or not (path / "provenance.json").is_file():
        return []
    before = _read_json(path / "provenance.json").get("inputs")
    return [] if before is None else sorted(k for k in inputs.keys() | before.keys() if inputs.get(k) != before.get(k))


def finished(config: JobConfig, inputs: dict[str, str] | None = None) -> Run | None:
    """The run at ``config.out`` if it ended well with exactly this configuration and these inputs, so that nothing
    need be done."""
    path = config.out
    if not (path / "status.json").is_file() or not (path / "config.yaml").is_file():
        return None
    run = Run(path)
    old, new = run.config, yaml.safe_load(config.to_yaml())
    same = not [line for line in differing(old, new) if not line.startswith("out: ")]
    return run if same and run.ok and not _changed_inputs(path, inputs) else None


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
            if (folder / "status.json").is_file() and (folder / "config.yaml").is_file():
                found[folder.relative_to(root).as_posix()] = Run(folder)
                below += [(folder / "runs", depth)] if _is_folder(folder / "runs") else []
            elif left > 0 and folder.is_dir():
                below += [(p, left - 1) for p in sorted(folder.iterdir()) if _is_folder(p)]
        level = below
    return found


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary sibling of ``path`` that takes its place when the block ends well."""
    partial = path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """SIGTERM (a batch system's polite stop) ends a run the way Ctrl-C does."""

    def stop(signum: int, frame: Any) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not in the main thread: leave signals to whoever owns them
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _empty_run(path: Path) -> None:
    """Delete what is in a run folder that we hold."""
    for entry in list(path.iterdir()):
        if entry.name == LOCK:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _lives(path: Path, status: dict[str, Any]) -> bool:
    """Whether somebody still works on the run at ``path`` whose status says running."""
    if (known := held(path)) is not None:
        return known
    if status.get("lock") == LOCK and not (path / LOCK).exists():
        return False  # somebody overrode it
    # it was written by a version before locks, or the lock is not ours to open
    then, now = status.get("slurm"), slurm()
    if then and now and then["job"] == now["job"] and then["life"] != now["life"]:
        return False  # this very job was queued again: its earlier life has ended, on whatever machine that was
    if status.get("boot") != boot_id():
        updated = datetime.fromisoformat(status.get("updated", "2000-01-01T00:00:00+00:00"))
        return abs((datetime.now(UTC) - updated).total_seconds()) < 3600
    return process_lives(status.get("pid"), status.get("began"))


def _who() -> dict[str, Any]:
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


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise WorkbenchError(f"{path}: cannot be read", cause=str(error), remedy="is this a run folder?") from error


def _write_json(path: Path, values: dict[str, Any]) -> None:
    with replacing(path) as partial:
        partial.write_text(json.dumps(values, indent=2, default=str) + "\n")
