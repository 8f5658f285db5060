"""Per-scan scores of fine-tuned runs, and their paired differences over people."""

from __future__ import annotations

import functools
import math

import numpy as np
import pandas as pd

from workbench.columns import UNKNOWN
from workbench.explorer.stored.catalog import Catalog
from workbench.stats import Interval, bootstrap_interval, paired_people

MEAN = "Dice, mean of structures"


def scored_runs(catalog: Catalog) -> list[str]:
    """Runs that have a score a scan: segmentations, then classifications and regressions."""
    return [*catalog.of_job("segment"), *catalog.of_job("classify")]


def metrics_of(catalog: Catalog, runs: list[str]) -> list[str]:
    """What these runs can be compared by: only what more than one kind of them shares is of use, but all is offered."""
    found: dict[str, None] = {}
    for run in runs:
        if catalog.run(run).job == "segment":
            structures = catalog.dice(run)["structure"].astype(str).unique()
            found |= dict.fromkeys([MEAN, *(f"Dice, {s}" for s in sorted(structures))])
        else:
            table = catalog.table(run, "predictions")
            found |= dict.fromkeys(_prediction_metric(table, str(t)) for t in table["target"].unique())
    return list(found)


def scores(catalog: Catalog, runs: list[str], metric: str) -> pd.DataFrame:
    """One row a scan and run: run, scan_id, participant, site, split, value; runs without the metric have no rows."""
    parts = []
    for run in runs:
        if catalog.run(run).job == "segment":
            table = catalog.dice(run)
            if metric != MEAN:
                table = table[("Dice, " + table["structure"].astype(str)) == metric]
            table = table.rename(columns={"dice": "value"})
        else:
            table = catalog.table(run, "predictions")
            own = [_prediction_metric(table, str(t)) == metric for t in table["target"]]
            table = table[np.array(own, dtype=bool)]
            right = table["truth"].astype(str) == table["predicted"].astype(str)
            table = table.assign(
                value=right.astype(float)
                if metric.endswith("1 right, 0 wrong")
                else (_numbers(table["predicted"]) - _numbers(table["truth"])).abs()
            )
        if not {"scan_id", "participant", "split", "value"} <= set(table.columns):
            continue
        table = table.assign(site=table["site"].fillna("unknown").astype(str) if "site" in table else "unknown")
        mean = table.groupby("scan_id", as_index=False).agg(
            participant=("participant", "first"),
            site=("site", "first"),
            split=("split", "first"),
            value=("value", "mean"),
        )
        parts.append(mean.assign(run=run))
    columns = ["run", "scan_id", "participant", "site", "split", "value"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def better(metric: str) -> int:
    """1 where more is better, -1 for errors."""
    return -1 if metric.startswith("absolute error") else 1


def wide(table: pd.DataFrame, runs: list[str], metric: str) -> pd.DataFrame:
    """One row a scan, a column a run, and the difference of the second to the first where there are two; the worst of
    the first run comes first."""
    runs = [run for run in runs if (table["run"] == run).any()]
    facts = table.drop_duplicates("scan_id").set_index("scan_id")[["participant", "site", "split"]]
    values = table.pivot(index="scan_id", columns="run", values="value")[runs] if runs else pd.DataFrame()
    out = facts.join(values).reset_index()
    for k, run in enumerate(runs[1:], start=1):
        out[f"difference {k}"] = out[runs[0]] - out[run]
    return out.sort_values(runs[0], ascending=better(metric) > 0, ignore_index=True) if runs else out


def differences(table: pd.DataFrame, first: str, other: str) -> pd.DataFrame:
    """First run minus other, paired over the people that both scored: a row a site, and one for all.

    Columns: site, value, low, high (95 % bootstrap over people, see ``workbench.stats``), n (people).
    """
    rows = []
    for site in ["all sites", *sorted(set(table["site"]) - {UNKNOWN})]:
        part = table if site == "all sites" else table[table["site"] == site]
        found = _difference(part, first, other)
        rows.append({"site": site, "value": found.estimate, "low": found.low, "high": found.high, "n": found.n})
    return pd.DataFrame(rows)


def _difference(part: pd.DataFrame, first: str, other: str) -> Interval:
    a, b = (part[(part["run"] == run) & part["value"].notna()] for run in (first, other))
    if not set(a["participant"]) & set(b["participant"]):
        return Interval(math.nan, math.nan, math.nan, 0)
    _, mean_a, mean_b = paired_people(
        a["value"].to_numpy(float),
        a["participant"].to_numpy(str),
        b["value"].to_numpy(float),
        b["participant"].to_numpy(str),
    )
    return _interval(tuple((mean_a - mean_b).tolist()))


@functools.lru_cache(maxsize=256)
def _interval(values: tuple[float, ...]) -> Interval:
    return bootstrap_interval(np.array(values, float))


def _prediction_metric(table: pd.DataFrame, target: str) -> str:
    rows = table[table["target"].astype(str) == target]
    if (
        len(rows)
        and _numbers(rows["predicted"]).notna().all()
        and _numbers(rows["truth"]).notna().any()
        and (rows["predicted"].nunique() > 4)
    ):
        return f"absolute error of {target}"
    return f"{target}: 1 right, 0 wrong"


def _numbers(column: pd.Series) -> pd.Series:
    return pd.to_numeric(column, errors="coerce")
