"""Change per year: what moves, by how much, and in whom it moves otherwise."""

from __future__ import annotations

import math

import pandas as pd

from workbench.found.found import Found, named, numbers
from workbench.runs import Run
from workbench.stats import Interval
from workbench.stats.sentence import estimate

PER_YEAR, SHARED = "moved per year", "shared direction of change"
MOST = 8  # lines; the tables have all


def change(run: Run) -> Found:
    """How far a year moves people in an embedding; then changes of volumes and scores; of components the clearest; then
    groups that are told apart."""
    summary, slopes = run.read_table("summary"), run.read_table("slopes")
    told: list[str] = []
    machine = []
    for _, row in summary[(summary["group"] == "") & summary["measure"].isin([PER_YEAR, SHARED])].iterrows():
        what = (
            "moved per year, in distances between two people"
            if row["measure"] == PER_YEAR
            else "cosine of two people's changes (0 by chance)"
        )
        line = f"{named(row['run'])}: {estimate(_interval(row), what, digits=3)}"
        told.append(line + ("" if math.isnan(row["p"]) else f", {_p(row['p'])}"))
    whole = slopes[slopes["group"] == ""]
    told += [_slope(row) for _, row in whole[whole["kind"] != "component"].iterrows()]
    clearest = whole[whole["kind"] == "component"].sort_values("p", kind="stable").groupby("run", sort=False).head(1)
    told += [_slope(row) for _, row in clearest.iterrows()]
    pairs = slopes[slopes["other"] != ""].sort_values("p_holm", kind="stable")
    told += [_slope(row) for _, row in pairs.head(3).iterrows()]
    if len(told) > MOST:
        told = [*told[:MOST], f"and {len(told) - MOST} more in report.html"]
    for table, name in ((summary, "measure"), (slopes, "name")):
        for _, row in table.iterrows():
            machine.append(
                {
                    "run": str(row["run"]), "measure": str(row[name]), "kind": str(row["kind"]),
                    "group": row["group"], "other": row["other"], **numbers(_interval(row)),
                }
            )  # fmt: skip
    if not told:
        return Found("no change can be told: see the notes")
    return Found(told[0], tuple(told[1:]), tuple(machine))


def _slope(row: pd.Series) -> str:
    what = row["name"] if row["kind"] in ("column", "component") else f"{row['kind']} of {row['name']}"
    unit = " (standard deviations of people)" if row["kind"] == "component" else ""
    who = f", {row['group']}" if row["group"] else ""
    who += f" minus {row['other']}" if row["other"] else ""
    found = _interval(row)
    widest = max(abs(found.low), abs(found.high), 1e-12)
    digits = max(0, 2 - math.floor(math.log10(widest))) if math.isfinite(widest) else 3
    by = "mixed model" if row["method"].startswith("random") else row["method"]
    return (
        f"{named(row['run'])}: {estimate(found, f'{what}, change per year{unit}{who}', digits=digits)}, "
        f"{by}, {_p(row['p_holm'])} corrected"
    )


def _interval(row: pd.Series) -> Interval:
    return Interval(float(row["value"]), float(row["low"]), float(row["high"]), int(row["people"]))


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
