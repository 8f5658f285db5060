"""Run one notebook through Papermill, in processes of its own, and keep the record."""

from __future__ import annotations

import ast
import importlib.util
import json
from collections.abc import Collection
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from workbench.batch.conduct import Worker, conduct, work_of
from workbench.batch.config import NotebookConfig
from workbench.batch.results import forget, recorded
from workbench.errors import ConfigError, WorkbenchError
from workbench.runs import Run, digest_file, find_runs, finished, start_run


def run_notebook(config: NotebookConfig, *, overwrite: bool = False, worker: Worker | None = None) -> Run:
    """Execute ``config.notebook`` into ``config.out``: ``notebook.ipynb``, ``notebook.html``, and a true status.

    Whoever runs several gives the ``worker`` of them all, whose start takes some seconds.
    Returns at once where the same notebook has run well with the same parameters and the runs it made are still there.

    Raises:
        ConfigError: not a notebook, or a parameter that it does not have; nothing has been started then.
        WorkbenchError: a cell failed; names the notebook that was left behind, with the traceback in it.
        KeyboardInterrupt: after the notebook's processes have ended.
    """
    defaults = read_parameters(config.notebook)
    check_names(config.values, defaults, config.notebook)
    fingerprint = digest_file(config.notebook)
    if not overwrite and (done := finished(config)) and _up_to_date(done, fingerprint):
        return done
    with (
        start_run(config, overwrite=overwrite, notebook_fingerprint=fingerprint, parameters=config.values) as run,
        nullcontext(worker) if worker is not None else Worker() as hands,
    ):
        out = {**defaults, **config.values}.get("out")
        forget(out)
        conduct(run, work_of(run, config.notebook, config.values, log=False), hands)
        run.note(**facts_after(out))
    return run


def read_parameters(notebook: Path) -> dict[str, Any]:
    """Names and defaults of the cell tagged ``parameters``; a default that is no plain value is its source text.

    Read here and not by Papermill, whose import (2 s) would be most of what a plan costs.

    Raises:
        ConfigError: not a notebook that Papermill can run.
    """
    if notebook.suffix != ".ipynb" or not notebook.is_file():
        raise ConfigError(
            f"{notebook}: not a notebook",
            cause="it must be an existing .ipynb file",
            remedy="check the path; `jupytext --to ipynb` makes one from a .py source",
        )
    if importlib.util.find_spec("papermill") is None:
        raise WorkbenchError(
            "notebooks cannot be run",
            cause="Papermill is not installed",
            remedy="pip install 'volta-workbench[batch,notebooks]'",
        )
    try:
        cells = json.loads(notebook.read_text())["cells"]
        tagged = [cell for cell in cells if "parameters" in cell.get("metadata", {}).get("tags", [])]
        lines = ast.parse("".join(tagged[0]["source"])).body if tagged else []
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SyntaxError) as error:
        raise ConfigError(
            f"{notebook}: cannot be read as a notebook",
            cause=f"{type(error).__name__}: {error}"[:200],
            remedy="open it in JupyterLab and save it again; its parameters cell must be plain Python",
        ) from error
    return {name: _literal(value) for line in lines for name, value in _assigned(line)}


def check_names(names: Collection[str], defaults: dict[str, Any], notebook: Path) -> None:
    """Refuse parameters that the notebook does not have."""
    if unknown := sorted(set(names) - set(defaults)):
        raise ConfigError(
            f"{notebook}: has no parameter {', '.join(unknown)}",
            cause=f"its parameters cell has: {', '.join(defaults) or 'nothing'}",
            remedy="check the spelling, or add it to the notebook's parameters cell",
        )


def facts_after(folder: Any) -> dict[str, Any]:
    """What there is to know once the notebook has run: the runs below its own ``out`` (path → job), what it recorded
    there, and whether any of it is on simulated data."""
    runs = find_runs(folder) if isinstance(folder, str) else {}
    return {
        "runs": {str(run.path.resolve()): run.job for run in runs.values()},
        "recorded": recorded(folder),
        "simulated": any(run.simulated for run in runs.values()),
    }


def made_runs_are_there(run: Run) -> bool:
    """Whether the runs that a notebook made still are, and are well."""
    return all((Path(path) / "status.json").is_file() and Run(path).ok for path in run.provenance.get("runs", {}))


def _up_to_date(run: Run, fingerprint: str) -> bool:
    return run.provenance.get("notebook_fingerprint") == fingerprint and made_runs_are_there(run)


def _assigned(line: ast.stmt) -> list[tuple[str, ast.expr]]:
    """``a = b = 1`` and ``a: int = 1``; anything else in a parameters cell is no parameter."""
    if isinstance(line, ast.Assign):
        return [(target.id, line.value) for target in line.targets if isinstance(target, ast.Name)]
    if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value is not None:
        return [(line.target.id, line.value)]
    return []


def _literal(expression: ast.expr) -> Any:
    try:
        value = ast.literal_eval(expression)
        json.dumps(value)
        return value
    except (ValueError, TypeError):
        return ast.unparse(expression)
