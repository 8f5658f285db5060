"""Run one notebook through Papermill, in processes of its own, and keep the record."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from workbench.batch.config import NotebookConfig
from workbench.errors import ConfigError, WorkbenchError
from workbench.runs import Run, digest_file, find_runs, finished, start_run

PATIENCE = 60.0  # seconds that a stopped notebook gets, so that the job in its cell can save its state


def run_notebook(config: NotebookConfig, *, overwrite: bool = False) -> Run:
    """Execute ``config.notebook`` into ``config.out``: ``notebook.ipynb``, ``notebook.html``, and a true status.

    Returns at once where the same notebook has run well with the same parameters and the runs it made are still there.

    Raises:
        ConfigError: not a notebook, or a parameter that it does not have; nothing has been started then.
        WorkbenchError: a cell failed; names the notebook that was left behind, with the traceback in it.
        KeyboardInterrupt: after the notebook's processes have ended.
    """
    defaults = read_parameters(config.notebook)
    values = {name: value for name, value in config.values.items() if name in defaults}
    if unknown := sorted(set(config.values) - set(defaults)):
        raise ConfigError(f"{config.notebook}: has no parameter {', '.join(unknown)}",
                          cause=f"its parameters cell has: {', '.join(defaults) or 'nothing'}",
                          remedy="check the spelling, or add it to the notebook's parameters cell")
    fingerprint = digest_file(config.notebook)
    if not overwrite and (done := finished(config)) and _up_to_date(done, fingerprint):
        return done
    with start_run(config, overwrite=overwrite, notebook_fingerprint=fingerprint, parameters=values) as run:
        execute(config.notebook, run.path / "notebook.ipynb", values)
        run.note(**_made_runs({**defaults, **values}.get("out")))
    return run


def read_parameters(notebook: Path) -> dict[str, Any]:
    """Names and defaults of the cell tagged ``parameters``; a default that is no plain value is its source text.

    Raises:
        ConfigError: not a notebook that Papermill can run.
    """
    if notebook.suffix != ".ipynb" or not notebook.is_file():
        raise ConfigError(f"{notebook}: not a notebook", cause="it must be an existing .ipynb file",
                          remedy="check the path; `jupytext --to ipynb` makes one from a .py source")
    try:
        import papermill  # 1 s; only here and in the worker
    except ImportError as error:
        raise WorkbenchError("notebooks cannot be run", cause=str(error),
                             remedy="pip install 'volta-workbench[batch,notebooks]'") from error
    try:
        found = papermill.inspect_notebook(str(notebook))
    except Exception as error:  # nbformat, JSON and Papermill have each their own kinds
        raise ConfigError(f"{notebook}: cannot be read as a notebook", cause=str(error).splitlines()[0][:200],
                          remedy="open it in JupyterLab and save it again") from error
    return {name: _literal(facts["default"]) for name, facts in found.items()}


def execute(notebook: Path, output: Path, values: dict[str, Any]) -> None:
    """Run the worker and wait for it. A Ctrl-C here becomes one there, and only there: its session is its own."""
    work = {"notebook": str(notebook), "output": str(output), "values": values}
    worker = subprocess.Popen([sys.executable, "-m", "workbench.batch.worker"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert worker.stdin is not None and worker.stdout is not None
    try:
        worker.stdin.write(json.dumps(work) + "\n")
        worker.stdin.flush()  # stays open: the worker ends itself when this end is gone
        answer = worker.stdout.read()
        worker.wait()
    except BaseException:
        worker.send_signal(signal.SIGINT)
        try:
            worker.wait(PATIENCE)
        finally:
            worker.kill()
        raise
    finally:
        worker.stdin.close()
        worker.stdout.close()
    told = json.loads(answer) if answer.strip() else {"failed": f"its process ended with status {worker.returncode}"}
    if told.get("stopped"):
        raise KeyboardInterrupt
    if told.get("failed"):
        where = f", cell {told['cell']}" if told.get("cell") else ""
        raise WorkbenchError(f"{output}: the notebook failed{where}", cause=told["failed"],
                             remedy="the notebook at this path holds the outputs and the traceback; correct the cause "
                                    "and run the same command again")


def _up_to_date(run: Run, fingerprint: str) -> bool:
    """Whether the notebook is still the same and the runs that it made are still there."""
    facts = run.provenance
    return facts.get("notebook_fingerprint") == fingerprint and all(
        (Path(path) / "status.json").is_file() and Run(path).ok for path in facts.get("runs", {}))


def _made_runs(folder: Any) -> dict[str, Any]:
    """The runs below the notebook's own ``out`` (path → job), and whether any of them is on simulated data."""
    runs = find_runs(folder) if isinstance(folder, str) else {}
    return {"runs": {str(run.path.resolve()): run.job for run in runs.values()},
            "simulated": any(run.simulated for run in runs.values())}


def _literal(source: str) -> Any:
    import ast

    try:
        return ast.literal_eval(source)
    except (ValueError, SyntaxError):
        return source
