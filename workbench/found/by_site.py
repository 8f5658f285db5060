"""Pretrained against random weights, site by site, as a table to read and to paste."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from workbench.errors import WorkbenchError
from workbench.found.scores import by_person, counterpart, tested_side
from workbench.measures import MEASURES, Measure
from workbench.runs import Run
from workbench.stats import Interval, bootstrap_interval
from workbench.stats.sentence import bracketed


def by_site(runs: Iterable[Run], measure: Measure = MEASURES["dice"]) -> str:
    """Markdown: for every segmentation on pretrained weights whose twin on random weights is there, a row a site and
    one for all: people, both means and the paired difference, each with a 95 % bootstrap interval over people.

    Raises:
        WorkbenchError: there is no such pair.
    """
    parts = []
    for run in runs:
        if run.job == "segment" and run.ok and run.config.get("init") == "pretrained":
            twin = counterpart(run)
            if twin is not None:
                parts.append(_table(run, twin, measure))
    if not parts:
        raise WorkbenchError(
            "no pretrained run and its random twin are here",
            cause="a twin is a run of the same settings in the same folder, with --init random",
            remedy="run `workbench segment` once with --init pretrained and once with --init random",
        )
    return "\n\n".join(parts)


def _table(run: Run, twin: Run, measure: Measure) -> str:
    side = tested_side(run)
    both = pd.DataFrame({"ours": by_person(run, measure, side), "theirs": by_person(twin, measure, side)}).dropna()
    table = run.read_table("dice")
    site = table.drop_duplicates("participant").set_index("participant")["site"].fillna("unknown").astype(str)
    both = both.assign(site=site.reindex(both.index))
    groups = [(str(name), rows) for name, rows in both.groupby("site")]
    groups += [("all", both)] if len(groups) > 1 else []
    mark = " (simulated)" if run.simulated else ""
    lines = [
        f"{measure.title}, {run.name} against {twin.name}, {side} people, 95 % intervals over people",
        "",
        f"| site{mark} | people | pretrained | random weights | difference, paired |",
        "|---|---|---|---|---|",
    ]
    for name, rows in groups:
        ours, theirs, apart = (
            bootstrap_interval(values.to_numpy())
            for values in (rows["ours"], rows["theirs"], rows["ours"] - rows["theirs"])
        )
        cells = [_said(ours, measure), _said(theirs, measure), _said(apart, measure, "+")]
        lines.append(f"| {name.replace('|', '/')} | {len(rows)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _said(interval: Interval, measure: Measure, sign: str = "") -> str:
    return bracketed(interval.estimate, interval.low, interval.high, lambda value: measure.plain(value, sign))
