"""The runs of a batch: what each is called, what it depends on, and which of them are still to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from workbench.batch.batch_config import BatchConfig
from workbench.batch.config import NotebookConfig
from workbench.batch.fingerprints import Inputs, code_version, template_version
from workbench.batch.grid import expand
from workbench.batch.notebook import check_names, made_runs_are_there, read_parameters
from workbench.errors import ConfigError
from workbench.runs import Run, digest_file, digest_text, replacing

PLAN = "plan.json"
RUNS = "runs"  # a batch keeps its runs in its folder of this name, and a run those that its notebook made


class NamedByContent(NotebookConfig):
    """A notebook in a folder whose name stands for everything it depends on."""

    extends: ClassVar[bool] = True


@dataclass(frozen=True)
class PlannedRun:
    """One run of a batch.

    Attributes:
        name: Folder below ``runs/``: what sets the run apart in words, and the hash of all it depends on.
        given: The parameters given for this run (not the notebook's defaults, not ``out``).
        values: What the notebook gets: ``given`` and, where it has the parameter, ``out``.
        inputs: Fingerprints of everything it depends on beside its parameters.
    """

    name: str
    folder: str
    notebook: str
    notebook_fingerprint: str
    given: dict[str, Any]
    values: dict[str, Any]
    inputs: dict[str, str]

    @property
    def config(self) -> NotebookConfig:
        """The run as a job of its own: ``workbench notebook --config runs/NAME/config.yaml`` does it again."""
        words = tuple(f"{name}={json.dumps(value)}" for name, value in self.values.items())
        return NamedByContent(out=Path(self.folder), notebook=Path(self.notebook), parameters=words)

    @property
    def state(self) -> str:
        """``new``, or the state of its run folder; ``lost`` where runs that its notebook made are gone, ``damaged``
        where its own files cannot be read."""
        folder = Path(self.folder)
        if not (folder / "status.json").is_file():
            return "new"
        run = Run(folder)
        state = str(run.told()["state"])
        return "lost" if state == "ok" and not made_runs_are_there(run) else state


# told of each run as it ends: the run, and why it failed (nothing if it is well)
Told = Callable[[PlannedRun, str], None]


def plan_runs(config: BatchConfig) -> list[PlannedRun]:
    """Every run of ``config``, in order.

    Raises:
        ConfigError: a parameter that the notebook does not have, or the same run twice; nothing has been started then.
    """
    defaults = read_parameters(config.notebook)
    rows = expand(config)
    check_names({name for row in rows for name in row}, defaults, config.notebook)
    if any("out" in row for row in rows):
        raise ConfigError(
            "parameter out is given",
            cause="the batch sets it, so that each run has a folder of its own",
            remedy="leave it away; the runs' folders are in the table that `collect` writes",
        )
    template, fingerprint = template_version(config.notebook), digest_file(config.notebook)
    code, inputs, known = code_version(config.code), Inputs(), _known_folders(config.out / RUNS)
    varying = [name for name in rows[0] if name not in config.parameters] if rows else []
    planned: dict[str, PlannedRun] = {}
    for number, row in enumerate(rows, start=1):
        complete = {name: value for name, value in {**defaults, **row}.items() if name != "out"}
        read = {"template": template, "code": code, **inputs.of(complete, config.inputs)}
        key = digest_text(json.dumps(complete, sort_keys=True, default=str), json.dumps(read, sort_keys=True))[:12]
        if key in planned:
            first = list(planned).index(key) + 1
            raise ConfigError(
                f"{config.notebook}: runs {first} and {number} are the same",
                cause=f"both have {row}",
                remedy="remove one of them",
            )
        name = known.get(key) or f"{_slug({n: row[n] for n in varying if n in row})}-{key}"
        folder = config.out.resolve() / RUNS / name
        values = {**row, "out": str(folder / RUNS)} if "out" in defaults else row
        planned[key] = PlannedRun(name, str(folder), str(config.notebook.resolve()), fingerprint, row, values, read)
    return list(planned.values())


def save_plan(folder: Path, runs: list[PlannedRun]) -> None:
    with replacing(folder / PLAN) as partial:
        partial.write_text(json.dumps([asdict(run) for run in runs], indent=1) + "\n")


def load_plan(folder: Path) -> list[PlannedRun]:
    """The runs as the batch last planned them, with their folders where the batch is now.

    Raises:
        ConfigError: not the folder of a batch.
    """
    try:
        entries = json.loads((folder / PLAN).read_text())
        return [PlannedRun(**{**entry, "folder": str(folder.resolve() / RUNS / entry["name"])}) for entry in entries]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"{folder}: not the folder of a batch",
            cause=f"{PLAN}: {error}"[:200],
            remedy="give the --out of `workbench batch`",
        ) from error


def plan_batch(config: BatchConfig) -> str:
    """For --dry-run: every run, what it is given, and whether there is anything to do."""
    runs = plan_runs(config)
    todo = [run for run in runs if run.state != "ok"]
    width = max(len(run.name) for run in runs)
    lines = [
        f"{run.name:<{width}}  {run.state if run.state != 'ok' else 'done':<11} "
        + " ".join(f"{name}={json.dumps(value)}" for name, value in run.given.items())
        for run in runs
    ]
    return "\n".join([*lines, f"{len(runs)} runs, {len(runs) - len(todo)} done, {len(todo)} to do"])


def _known_folders(folder: Path) -> dict[str, str]:
    """Hash → name of the runs that are there, so that a grid that grows by a parameter finds its runs again."""
    names = [p.name for p in folder.iterdir() if p.is_dir()] if folder.is_dir() else []
    return {name.rsplit("-", 1)[-1]: name for name in names}


def _slug(values: dict[str, Any]) -> str:
    """The parameters in words that every file system takes."""
    words = "_".join(f"{n}-{v if isinstance(v, str) else json.dumps(v)}" for n, v in values.items())
    return re.sub(r"[^A-Za-z0-9._-]+", "-", words)[:60].strip("-._") or "run"
