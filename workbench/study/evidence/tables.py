"""The tables of a study, in its ``results/``, as parquet and as CSV."""

from __future__ import annotations

import pandas as pd

from workbench.measures import MEASURES, is_shown
from workbench.runs import Run, replacing
from workbench.study.cells.execute import Outcome
from workbench.study.cells.plan import Plan
from workbench.study.cells.rates import chosen_rates
from workbench.study.evidence.flow import flow_table
from workbench.study.evidence.intervals import arm_table, difference_table
from workbench.study.evidence.numbers import person_table
from workbench.study.evidence.timing import reached_table, time_table
from workbench.study.settings.layers import finetune_config


def write_tables(run: Run, plan: Plan, outcome: Outcome) -> None:
    """``people`` (every number of every person), ``arms``, ``differences``, ``time_to_dice``, ``reached``, ``rates``,
    ``flow``, ``cells``. Where there is an arm there is a column ``baseline``, whether it is one."""
    done = {node: cell for node, cell in outcome.cells.items() if node in plan.nodes}
    people, times = person_table(list(done.values())), time_table(list(done.values()))
    run.note(transductive=bool(people["transductive"].any()))
    study = plan.study
    specificity = {
        name: finetune_config(study, task, None).model_dump()["specificity"]
        for name, task in study.tasks.items()
        if task.job == "classify"
    }
    tables = {
        "people": people,
        "arms": arm_table(people, specificity, study.given_arms()),
        "differences": difference_table(
            people, study.pairs(), study.given_arms(), {n: t.margin for n, t in study.tasks.items() if t.margin}
        ),
        "time_to_dice": times,
        "reached": reached_table(times, study.reference),
        "rates": chosen_rates(list(done.values())),
        "flow": flow_table(plan, people, list(done.values())),
        "cells": cell_table(plan, outcome),
    }
    for name, table in tables.items():
        table = in_order(table, plan)
        if "arm" in table:
            table = table.assign(baseline=table["arm"].isin(study.baseline_arms()))
        run.write_table(name, table)
        with replacing(run.path / "results" / f"{name}.csv") as partial:
            table.to_csv(partial, index=False)


def in_order(table: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Rows in the order of the study's file: its tasks, directions, shares of labels, arms; else as they were."""
    study = plan.study
    directions = [d.name for task in study.tasks for d in plan.directions[task]]
    fractions = [f for task in study.tasks.values() for f in task.fractions]
    orders: dict[str, list] = {
        "task": list(study.tasks),
        "direction": list(dict.fromkeys(directions)),
        "fraction": list(dict.fromkeys(fractions)),
        "metric": [name for name in MEASURES if is_shown(name)],
        "arm": list(study.each_arm()),
    }
    if "data" in table or "node" in table or not len(table):
        return table
    keys = pd.DataFrame(
        {
            name: [order.index(v) if v in order else len(order) for v in table[name]]
            for name, order in orders.items()
            if name in table
        },
        index=table.index,
    )
    return table.loc[keys.sort_values(list(keys), kind="stable").index].reset_index(drop=True)


def cell_table(plan: Plan, outcome: Outcome) -> pd.DataFrame:
    """A row a cell of the plan: what it is, how it ended, seconds, folder."""
    rows = []
    for one in plan.data.values():
        rows += [
            {
                "node": f"data/{c.name}",
                "stage": "data",
                "state": c.state,
                "why": "",
                "cell": c.name,
                "seconds": Run(c.folder).status.get("seconds"),
                "job": c.config.job,
            }
            for c in one.cells
        ]
    for node in plan.nodes.values():
        cell = outcome.cells.get(node.id)
        rows.append(
            {
                "node": node.id,
                **node.about,
                **({} if cell is None else cell.about),
                "state": "ok" if cell else "failed" if node.id in outcome.failed else "not run",
                "why": outcome.failed.get(node.id) or outcome.left.get(node.id, ""),
                "cell": cell.name if cell else "",
                "job": cell.config.job if cell else "",
                "seconds": Run(cell.folder).status.get("seconds") if cell else None,
            }
        )
    return pd.DataFrame(rows)
