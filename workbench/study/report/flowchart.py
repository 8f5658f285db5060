"""The flow of people through the study as a picture made of boxes, after CONSORT."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

import pandas as pd

from workbench.stats.sentence import counted
from workbench.study.report.page import folded, table


def flowchart(rows: pd.DataFrame) -> str:
    """Of the rows of one of the study's data in ``flow.flow_table``: a box a stage, who was left out beside the arrow
    to the next one; below what all tasks share, a branch a task."""
    branches = [
        f"<div class=flow>{''.join(_column(one, 'box task', first=False))}</div>"
        for task, one in rows.groupby("task", sort=False)
        if task
    ]
    return (
        f"<div class=flow>{''.join(_column(rows[rows['task'] == ''], 'box', first=True))}</div>"
        f"<div class=branches>{''.join(branches)}</div>"
    )


def _column(rows: pd.DataFrame, kind: str, *, first: bool) -> Iterator[str]:
    """Boxes with arrows between them, and before the ``first`` one where it is not the start of everything."""
    left: list[str] = []
    for row in rows[rows["kind"] != "side"].itertuples():
        if row.kind == "out":
            if row.people or row.scans:
                left.append(f"{escape(row.what)}: {_count(row)}")
            continue
        if not first:
            beside = f"<div class=out>{'<br>'.join(left)}</div>" if left else "<div></div>"
            yield f"<div class=arrow>│<br>▼</div>{beside}"
        first, left = False, []
        sides = _sides(rows) if row.what.startswith("tested") else ""
        yield f"<div class='{kind}'><b>{escape(row.what)}</b><br>{_count(row)}{sides}</div><div></div>"


def _sides(rows: pd.DataFrame) -> str:
    """How many were on each side of each direction."""
    told = [
        f"<br><small>{escape(str(direction))}: "
        + ", ".join(f"{row.people} {escape(row.what)}" for row in one.itertuples())
        + "</small>"
        for direction, one in rows[rows["kind"] == "side"].groupby("direction", sort=False)
    ]
    return "".join(told)


def _count(row) -> str:
    return f"{counted(int(row.people), 'person', 'people')}, {counted(int(row.scans), 'scan')}"


def left_out(aside: pd.DataFrame) -> str:
    """Every file that was set aside, by name."""
    if not len(aside):
        return ""
    shown = aside[["participant", "kind", "path", "cause", "stage"]].rename(columns={"stage": "set aside by"})
    return folded(f"The {counted(len(aside), 'file')} that were set aside, by name", table(shown))
