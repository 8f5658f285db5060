"""Starting a run: making or continuing its folder, holding it, and a true status at the end."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from workbench.errors import ConfigError, WorkbenchError, of_the_disk, telling_the_disk
from workbench.runs import provenance
from workbench.runs.config import JobConfig, differing, without_later
from workbench.runs.folder import PARTIAL, Run, is_run, lives, replacing, who, write_json
from workbench.runs.hold import LOCK, held, holding
from workbench.runs.spread import shard
from workbench.runs.texts import read_json, read_yaml


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
    if shard() is not None:  # the run is somebody else's, who holds it and says how it ends
        first = _known_inputs(path)
        if moved := [name for name, digest in (inputs or {}).items() if first.get(name, digest) != digest]:
            raise ConfigError(f"{path}: other inputs than the run began with", cause=f"changed: {', '.join(moved)}")
        with telling_the_disk(path), _sigterm_as_interrupt():
            yield Run(path)
        return
    with telling_the_disk(path), ExitStack() as stack:
        _require_ours(path, overwrite)
        path.mkdir(parents=True, exist_ok=True)
        stack.enter_context(holding(path))
        _require_ours(path, overwrite)
        if overwrite:
            _empty_run(path)
        _require_same(config, inputs)
        # the status first: a folder that a kill left without configuration is then known as ours
        write_json(path / "status.json", {**who(), "state": "running"})
        with replacing(path / "config.yaml") as partial:
            partial.write_text(config.to_yaml())
        before = read_json(path / "provenance.json") if (path / "provenance.json").is_file() else {}
        known = {"inputs": inputs} if inputs is not None else {}
        write_json(path / "provenance.json", {**before, **provenance.collect(), **known, **facts})
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
        told = of_the_disk(error, run.path) or error
        with suppress(OSError):  # no room for that either: the status stays "running", and nobody runs: "killed"
            run.set_status("failed", why=f"{type(told).__name__}: {told}", seconds=round(time.time() - started, 1))
        raise
    run.set_status("ok", seconds=round(time.time() - started, 1))


def _require_ours(path: Path, overwrite: bool) -> None:
    """Refuse a folder of somebody's that is no run folder, before anything is written into it, and one in which a
    process of an earlier version, which holds no lock, still writes."""
    # listed before it is asked whether it is a run: who makes one at this moment writes its status before all else
    found = [item.name for item in path.iterdir()] if path.exists() else []
    if is_run(path) or (path / "status.json").is_file():
        try:
            status = read_json(path / "status.json")
        except WorkbenchError:
            if overwrite:
                return
            raise
        if status.get("state") == "running" and held(path) is None and lives(path, status):
            raise WorkbenchError(
                f"{path}: is being written by another process",
                cause=f"its status says running, by process {status.get('pid')}",
                remedy="wait for it, or stop it, and try again",
            )
    elif any(name != LOCK and not name.startswith(PARTIAL) for name in found):
        what = "not a run folder, so it is not overwritten" if overwrite else "exists and is not a run folder"
        raise ConfigError(f"{path}: {what}", remedy="choose another --out")


def _require_same(config: JobConfig, inputs: dict[str, str] | None) -> None:
    """Refuse a run of other settings, or made from other inputs."""
    path = config.out
    if not (path / "config.yaml").is_file() or config.extends or _wrote_nothing(path):
        return
    changed = _changed_settings(read_yaml(path / "config.yaml"), config)
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


def _changed_settings(old: dict[str, Any], config: JobConfig) -> list[str]:
    new = yaml.safe_load(config.to_yaml())
    lines = differing(without_later(old, type(config)), without_later(new, type(config)))
    return [line for line in lines if not line.startswith("out: ")]


def _wrote_nothing(path: Path) -> bool:
    """Whether a run at ``path`` failed before it wrote anything: then there is nothing to keep a place for."""
    own = {"config.yaml", "provenance.json", "status.json", LOCK}
    if not (path / "status.json").is_file() or Run(path).status.get("state") != "failed":
        return False
    return all(
        item.name in own or item.name.startswith(PARTIAL) or (item.is_dir() and not any(item.iterdir()))
        for item in path.iterdir()
    )


def _known_inputs(path: Path) -> dict[str, str]:
    file = path / "provenance.json"
    found = read_json(file).get("inputs") if file.is_file() else None
    return found if isinstance(found, dict) else {}


def _changed_inputs(path: Path, inputs: dict[str, str] | None) -> list[str]:
    """Names of the inputs whose content is not what the run at ``path`` was made from."""
    if inputs is None or not (path / "provenance.json").is_file():
        return []
    before = read_json(path / "provenance.json").get("inputs")
    return [] if before is None else sorted(k for k in inputs.keys() | before.keys() if inputs.get(k) != before.get(k))


def finished(config: JobConfig, inputs: dict[str, str] | None = None) -> Run | None:
    """The run at ``config.out`` if it ended well with exactly this configuration and these inputs, so that nothing
    need be done."""
    path = config.out
    with telling_the_disk(path):  # a name that is too long is told by the first look
        if not (path / "status.json").is_file() or not (path / "config.yaml").is_file():
            return None
    run = Run(path)
    return run if not _changed_settings(run.config, config) and run.ok and not _changed_inputs(path, inputs) else None


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
    """Delete what is in a run folder that we hold, but for what says that it is one."""
    for entry in list(path.iterdir()):
        if entry.name in (LOCK, "status.json"):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
