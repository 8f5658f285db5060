"""The job `compare`: from one file to cells, tables and a report."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from workbench.errors import ConfigError, RunsFailed
from workbench.runs import Run, start_run
from workbench.runs.slurm import SlurmSettings, scancel
from workbench.study.cells.cell import Cell
from workbench.study.cells.data import Data, plan_data
from workbench.study.cells.estimate import Budget, Pace, minutes_left, told
from workbench.study.cells.execute import Outcome, execute
from workbench.study.cells.on_slurm import queued_cells
from workbench.study.cells.plan import Node, Plan
from workbench.study.evidence.tables import write_tables
from workbench.study.settings.config import StudyConfig
from workbench.study.settings.fair import check_fair


def run_study(config: StudyConfig, *, overwrite: bool = False) -> Run:
    """Do every cell that is missing, changed or failed, then the tables and ``report.html``.

    Raises:
        ConfigError: an unfair arm, a name or path that is not there, finished cells that ``overwrite`` would delete;
            before anything starts.
        WorkbenchError: a tested person whom an encoder has seen.
        RunsFailed: some cells failed; the others have ended, and the report is of them.
    """
    fair = check_fair(config)
    data = plan_all_data(config)
    if overwrite:
        _keep_finished(config.out)
    if overwrite or config.executor != "slurm":
        _require_no_jobs(config.out)
    began = time.monotonic()
    with start_run(config, overwrite=overwrite, seed=list(config.seeds)) as run:
        on = config.slurm if config.executor == "slurm" else None
        prepared = _prepare(data, run, on)
        if prepared.failed:
            raise ConfigError(
                f"{config.out}: the data could not be prepared",
                cause="; ".join(f"{node}: {why}" for node, why in prepared.failed.items()),
                remedy="correct the cause and run it again",
            )
        plan = Plan(config, data)
        budget = None
        if config.minutes is not None:
            budget = Budget(config.minutes, Pace(_ended(plan)[0]), spent=time.monotonic() - began)
        outcome = execute(plan.in_order(), run.path, config.workers, budget=budget, slurm=on)
        run.note(
            simulated=any(store.simulated for store in plan.stores.values()),
            failed=outcome.failed,
            not_run=len(outcome.left),
            minutes_now=round((time.monotonic() - began) / 60, 2),
        )
        write_tables(run, plan, outcome)
        from workbench.study.report.write import write_report

        write_report(run, plan, outcome, fair)
        if outcome.failed:
            first = list(outcome.failed)
            raise RunsFailed(
                f"{config.out}: {len(first)} of {len(plan.nodes)} cells failed",
                cause="\n          ".join([f"{n}: {outcome.failed[n]}" for n in first[:5]] + ["…"] * (len(first) > 5)),
                remedy=f"{config.out / 'logs'} holds what each printed; the same command does the failed "
                "ones again. The report is of the others",
            )
    return run


def _ended(plan: Plan) -> tuple[list[tuple[dict[str, Any], float]], dict[str, dict[str, Any]]]:
    """Of the cells that can be named now: what and how long each that has ended was; what each other is, by key."""
    done: list[tuple[dict[str, Any], float]] = []
    left: dict[str, dict[str, Any]] = {}  # by key: several nodes may be the same cell
    for node in plan.nodes.values():
        if any(not plan.cell(one).done for one in node.one_of):
            left[node.id] = node.about
            continue
        cell = plan.cell(node.id)
        if cell.done:
            done.append((node.about, float(Run(cell.folder).status.get("seconds", 0.0))))
        else:
            left[cell.key] = node.about
    return done, left


def _keep_finished(out: Path) -> None:
    """Hours of cells are not thrown away by a flag that one gives to every other job after a change of settings."""
    done = [Run(path.parent).status for path in out.glob("cells/*/status.json")]
    seconds = [float(status.get("seconds", 0)) for status in done if status.get("state") == "ok"]
    if seconds:
        raise ConfigError(
            f"{out}: --overwrite would delete {len(seconds)} finished cells",
            cause=f"they took {sum(seconds) / 60:.0f} minutes; after a change of settings a study needs "
            "no --overwrite: it does again what the change concerns, and nothing else",
            remedy="leave --overwrite out, or delete the folder first if its cells are not wanted",
        )


def _require_no_jobs(out: Path) -> None:
    """Jobs of Slurm that an earlier command submitted write into the cells that this one would begin."""
    if jobs := queued_cells(out):
        raise ConfigError(
            f"{out}: Slurm works on {len(jobs)} of its cells",
            cause="an earlier command submitted them with --executor slurm",
            remedy=f"give the same command with --executor slurm, which watches them, or end them: {scancel(jobs)}",
        )


def _prepare(data: dict[str, Data], run: Run, slurm: SlurmSettings | None) -> Outcome:
    """One after the other on one machine: these jobs use all cores by themselves."""
    nodes = [
        Node(f"data/{cell.name}", tuple(f"data/{c.name}" for c in one.cells[:i]), partial(_same, cell), cell.about)
        for one in data.values()
        if not one.ready
        for i, cell in enumerate(one.cells)
    ]
    return execute(nodes, run.path, 1, "data", slurm=slurm) if nodes else Outcome()


def _same(cell: Cell) -> Cell:
    return cell


def plan_all_data(config: StudyConfig) -> dict[str, Data]:
    return {name: plan_data(name, one, config.out, config.processes) for name, one in config.data.items()}


def plan_study(config: StudyConfig) -> str:
    """For --dry-run: every cell, whether it is done, how many are left and about how long they will take."""
    check_fair(config)
    data = plan_all_data(config)
    lines = [f"{cell.name}  {_state(cell)}" for one in data.values() for cell in one.cells]
    if not all(one.ready for one in data.values()):
        return "\n".join(
            [*lines, "the other cells are named once the data are prepared: folds and sites come from them"]
        )
    plan = Plan(config, data, write=False)
    done, left = _ended(plan)
    for node in plan.in_order():
        if any(not plan.cell(one).done for one in node.one_of):
            lines.append(f"{node.id}  waits for the choice of a learning rate")
        else:
            lines.append(f"{plan.cell(node.id).name}  {_state(plan.cell(node.id))}")
    at_once = min(config.at_once, max(1, len(left)))
    return "\n".join(
        [
            *lines,
            f"{len(plan.nodes)} cells, {len(done)} done, {len(plan.nodes) - len(done)} to do",
            told(len(done), len(left), *minutes_left(done, list(left.values()), at_once)),
            *([] if config.minutes is None else [f"in this order, until {config.minutes:g} minutes are over"]),
        ]
    )


def _state(cell: Cell) -> str:
    return "done" if cell.done else cell.state
