"""All runs of a batch in one table: parameters, state, minutes, and what their notebooks recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.batch.plan import RUNS, PlannedRun, load_plan
from workbench.errors import WorkbenchError
from workbench.runs import Run, find_runs, replacing
from workbench.runs.folder import is_run

if TYPE_CHECKING:
    import pandas as pd

OWN = ("run", "state", "minutes", "memory_gb", "simulated", "why", "folder")


def batch_status(folder: str | Path) -> pd.DataFrame:
    """One row a run, in the order of the plan.

    Columns: ``run`` (its name), ``state`` (new, queued, running, ok, failed, interrupted, killed), ``minutes`` of
    its last attempt, ``memory_gb`` (largest seen), ``simulated``, each parameter given, each value recorded by the
    notebook (``workbench.batch.record``), ``why`` it failed, and ``folder``. A parameter or result that has the name
    of another column has ``parameter_`` or ``result_`` before it.

    Raises:
        ConfigError: not the folder of a batch.
    """
    import pandas as pd

    folder = Path(folder)
    plan = load_plan(folder)
    queued = _queued(folder)
    rows = [_row(run, queued) for run in plan]
    parameters = list(dict.fromkeys(name for run in plan for name in run.given))
    results = list(dict.fromkeys(name for row in rows for name in row["recorded"]))
    columns: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in OWN[:5]}
    for name in parameters:
        columns[f"parameter_{name}" if name in OWN else name] = [run.given.get(name) for run in plan]
    for name in results:
        taken = name in OWN or name in parameters
        columns[f"result_{name}" if taken else name] = [row["recorded"].get(name) for row in rows]
    columns |= {name: [row[name] for row in rows] for name in OWN[5:]}
    return pd.DataFrame({name: _uniform(values) for name, values in columns.items()})


def collect_batch(folder: str | Path, *, table: str | None = None) -> pd.DataFrame:
    """Write and return one table of all runs of a batch: ``results/runs.parquet`` and ``.csv``.

    Args:
        folder: Of the batch.
        table: In place of one row a run, all rows of the table of this name (such as ``dice``) in the run folders that
            the notebooks made, each with its ``run``, the run folder it is ``from``, and the run's parameters; written
            as ``results/TABLE.parquet``. Only runs that are well.

    Raises:
        WorkbenchError: not the folder of a batch, or no run has such a table.
    """
    folder = Path(folder)
    status = batch_status(folder)
    found = status if table is None else _tables(load_plan(folder), status, table)
    name = table or RUNS
    Run(folder).write_table(name, found)
    with replacing(folder / "results" / f"{name}.csv") as partial:
        found.to_csv(partial, index=False)
    return found


def told(status: pd.DataFrame) -> str:
    """The table of ``batch_status`` in lines, its summary last."""
    counts = status["state"].value_counts()
    lines = []
    for row in status.to_dict("records"):
        minutes = "" if row["minutes"] is None or row["minutes"] != row["minutes"] else f"{row['minutes']:.1f} min"
        why = (
            str(row["why"]).splitlines()[0][:120]
            if row["state"] in ("failed", "interrupted", "damaged") and row["why"]
            else ""
        )
        lines.append(f"{row['run']:<40}  {row['state']:<12}{minutes:>10}  {why}".rstrip())
    return "\n".join([*lines, f"{len(status)} runs: " + ", ".join(f"{n} {state}" for state, n in counts.items())])


def _row(planned: PlannedRun, queued: dict[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "run": planned.name,
        "folder": f"{RUNS}/{planned.name}",
        "state": "new",
        "minutes": None,
        "memory_gb": None,
        "simulated": False,
        "why": None,
        "recorded": {},
    }
    try:
        run = Run(planned.folder)
        status, facts = run.status, run.provenance
        seconds = status.get("seconds")
        row |= {
            "state": status.get("state"),
            "minutes": None if seconds is None else round(seconds / 60, 2),
            "memory_gb": facts.get("memory_gb"),
            "simulated": run.simulated,
            "why": facts.get("failure") or status.get("why"),
            "recorded": facts.get("recorded", {}) if status.get("state") == "ok" else {},
        }
    except WorkbenchError as error:
        if is_run(Path(planned.folder)):
            row |= {"state": "damaged", "why": f"{error.what}: {error.cause}"}
    if row["state"] not in ("ok", "running") and planned.name in queued:
        row["state"] = queued[planned.name]
    return row


def _queued(folder: Path) -> dict[str, str]:
    """Runs that wait or run in Slurm's queue, where there is one."""
    if not (folder / "slurm" / "jobs.json").is_file():
        return {}
    from workbench.batch.slurm import queued_runs

    return queued_runs(folder)


def _tables(plan: list[PlannedRun], status: pd.DataFrame, table: str) -> pd.DataFrame:
    import pandas as pd

    parts = []
    for planned, state in zip(plan, status["state"], strict=True):
        made = find_runs(Path(planned.folder) / RUNS) if state == "ok" else {}
        for name, run in made.items():
            if run.ok and table in run.tables():
                rows = run.read_table(table)
                own = {"run": planned.name, "from": name, **{p: _cell(v) for p, v in planned.given.items()}}
                fresh = {(f"parameter_{n}" if n in rows else n): v for n, v in own.items()}
                parts.append(rows.assign(**fresh)[[*fresh, *rows.columns]])
    if not parts:
        raise WorkbenchError(
            f"no run of this batch has a table '{table}'",
            remedy="`workbench runs FOLDER` lists the runs; their tables lie in results/",
        )
    return pd.concat(parts, ignore_index=True)


def _uniform(values: list[Any]) -> list[Any]:
    """One kind of value a column, as Parquet wants it: numbers, truth values or text; what is mixed becomes JSON."""
    kinds = {
        bool if isinstance(v, bool) else float if isinstance(v, int | float) else type(v)
        for v in values
        if v is not None
    }
    if len(kinds) > 1 or kinds & {list, dict}:
        return [None if v is None else v if isinstance(v, str) else json.dumps(v) for v in values]
    return values


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value
