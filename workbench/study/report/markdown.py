"""The numbers of a study as Markdown, for a repository or an issue: no picture and no person's name in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from workbench.measures import measure
from workbench.stats.sentence import counted
from workbench.study.report.rows import arm_rows, difference_rows, reached_rows, where
from workbench.study.report.section import TaskTables


def as_markdown(
    title: str,
    badges: Iterable[str],
    lead: str,
    arms: Mapping[str, str],
    caveats: Sequence[str],
    tasks: Sequence[TaskTables],
    flow: pd.DataFrame,
    methods: str,
    facts: Mapping[str, str],
) -> str:
    """One page; the arguments as the report has them."""
    parts = [
        f"# {title}",
        *(f"**{badge}**" for badge in badges),
        lead,
        _list(f"**{k}**: {v}" for k, v in arms.items()),
        "## What was found",
    ]
    for one in tasks:
        if one.metric is not None:
            parts += [
                f"### {one.name}, {measure(one.metric).words}",
                _list(f"{where(r)}. {r.verdict}" for r in one.main.itertuples()),
            ]
    parts += ["## To keep in mind", _list(caveats)]
    for one in tasks:
        parts += [f"## {one.name}", *_task(one)]
    parts += [
        "## Who was used",
        table(_flow(flow)),
        "## Methods",
        methods,
        "## How it was run",
        table(pd.DataFrame({"": facts.keys(), "what": facts.values()})),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _task(one: TaskTables) -> Iterator[str]:
    if one.metric is None:
        yield "No cell of this task has ended."
        return
    yield "Each arm, estimate [95 % interval]:"
    yield table(arm_rows(one.arms))
    if len(one.main):
        yield f"Paired differences, {measure(one.metric).words}:"
        yield table(difference_rows(one.main).drop(columns="measure"))
    for (direction, fraction), rows in one.reached.groupby(["direction", "fraction"], sort=False):
        yield f"Time to Dice, {direction}, {100 * float(fraction):g} % of the labels:"
        yield table(reached_rows(rows))


def _flow(flow: pd.DataFrame) -> pd.DataFrame:
    shown = flow[(flow["kind"] != "side") & (flow["people"].fillna(0) + flow["scans"].fillna(0) > 0)]
    return pd.DataFrame(
        {
            "data": shown["data"],
            "": [("left out: " if r.kind == "out" else "") + r.what for r in shown.itertuples()],
            "who": [
                f"{counted(int(r.people), 'person', 'people')}, {counted(int(r.scans), 'scan')}"
                for r in shown.itertuples()
            ],
        }
    )


def table(rows: pd.DataFrame) -> str:
    """Of text and numbers; a bar in a cell does not end it."""
    if not len(rows):
        return ""
    lines = [
        list(map(str, rows.columns)),
        ["---"] * len(rows.columns),
        *(["" if pd.isna(v) else str(v) for v in row] for row in rows.itertuples(index=False)),
    ]
    return "\n".join("| " + " | ".join(v.replace("|", "\\|").replace("\n", " ") for v in line) + " |" for line in lines)


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)
