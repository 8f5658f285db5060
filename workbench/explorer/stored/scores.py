"""Per-scan scores of fine-tuned runs, and their paired differences over people."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.columns import UNKNOWN
from workbench.explorer.stored.catalog import Catalog
from workbench.explorer.stored.repeats import pooled
from workbench.measures import MEASURES, Measure, measure, measures_in
from workbench.stats import Interval, bootstrap_interval, two_level_interval

MEAN = "Dice, mean of structures"
RIGHT = "1 right, 0 wrong"


def scored_runs(catalog: Catalog) -> list[str]:
    """Runs that have a score a scan: segmentations, then classifications and regressions."""
    return [*catalog.of_job("segment"), *catalog.of_job("classify")]


@dataclass(frozen=True)
class Metric:
    """One of the values a scan that a run holds: a measure, of one structure or the mean of all, or of one target."""

    measure: Measure
    structure: str = ""
    target: str = ""


def offered(catalog: Catalog, run: str) -> dict[str, Metric]:
    """What a run can be compared by, under the names that the page shows; from the table of measures."""
    if catalog.run(run).job == "segment":
        table = catalog.dice(run)
        structures = sorted(table["structure"].astype(str).unique())
        return {
            f"{_title(one)}, {part or 'mean of structures'}": Metric(one, structure=part)
            for one in measures_in(table)
            if one.better is not None
            for part in ("", *structures)
        }
    found: dict[str, Metric] = {}
    table = catalog.table(run, "predictions")
    for target in map(str, table["target"].unique()):
        rows = table[table["target"].astype(str) == target]
        first = _prediction_metric(table, target)
        found[first] = Metric(measure("correct" if first.endswith(RIGHT) else "absolute_error"), target=target)
        for one in measures_in(rows):
            if one.better is not None and one.of_rows and one.name not in ("correct", "absolute_error"):
                found[f"{_title(one)} of {target}"] = Metric(one, target=target)
    return found


def metrics_of(catalog: Catalog, runs: list[str]) -> list[str]:
    """What these runs can be compared by: only what more than one kind of them shares is of use, but all is offered."""
    found: dict[str, None] = {}
    for run in runs:
        found |= dict.fromkeys(offered(catalog, run))
    return list(found)


def scores(catalog: Catalog, runs: list[str], metric: str) -> pd.DataFrame:
    """One row a scan and run: run, scan_id, participant, site, split, value; runs without the metric have no rows."""
    parts = []
    for run in runs:
        asked = offered(catalog, run).get(metric)
        if asked is None:
            continue
        if asked.target:
            table = catalog.table(run, "predictions")
            table = table[table["target"].astype(str) == asked.target]
        else:
            table = catalog.dice(run)
            table = table[table["structure"].astype(str) == asked.structure] if asked.structure else table
        table = table.assign(value=_values(table, asked))
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


def _values(table: pd.DataFrame, asked: Metric) -> pd.Series:
    if asked.measure.name == "correct":  # also of runs that kept no score
        return (table["truth"].astype(str) == table["predicted"].astype(str)).astype(float)
    if asked.measure.name == "absolute_error":
        return (_numbers(table["predicted"]) - _numbers(table["truth"])).abs()
    return asked.measure.values(table)


def _title(one: Measure) -> str:
    return f"{one.title} ({one.unit})" if one.unit else one.title


def better(metric: str) -> int:
    """1 where more is better, -1 for errors."""
    one = _measure_of(metric)
    return -1 if one is not None and one.better == "lower" else 1


def _measure_of(metric: str) -> Measure | None:
    if metric.endswith(RIGHT):
        return measure("correct")
    named = [one for one in MEASURES.values() if metric.startswith(one.title)]
    return max(named, key=lambda one: len(one.title), default=None)


def wide(table: pd.DataFrame, runs: list[str], metric: str, order: str = "worst") -> pd.DataFrame:
    """One row a scan, a column a run, and the differences of the first to each further one.

    Args:
        table: From :func:`scores`.
        runs: The first is A, the second B.
        metric: What was asked for, which says which way is better.
        order: ``"worst"`` of A comes first, or the largest ``"difference"`` of A and B, whoever is better; scans that
            only one of the two has come last.
    """
    runs = [run for run in runs if (table["run"] == run).any()]
    facts = table.drop_duplicates("scan_id").set_index("scan_id")[["participant", "site", "split"]]
    values = table.pivot(index="scan_id", columns="run", values="value")[runs] if runs else pd.DataFrame()
    out = facts.join(values).reset_index()
    for k, run in enumerate(runs[1:], start=1):
        out[f"difference {k}"] = out[runs[0]] - out[run]
    if order == "difference" and len(runs) > 1:
        largest = out["difference 1"].abs().sort_values(ascending=False, kind="stable", na_position="last")
        return out.loc[largest.index].reset_index(drop=True)
    return out.sort_values(runs[0], ascending=better(metric) > 0, ignore_index=True) if runs else out


def _by_site_and_all(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Name and rows of all sites together, then of each that is known."""
    yield "all sites", table
    for site in sorted(set(table["site"]) - {UNKNOWN}):
        yield site, table[table["site"] == site]


def differences(table: pd.DataFrame, first: str, other: str) -> pd.DataFrame:
    """First run minus other, paired over the people that both scored: a row a site, and one for all. A run may stand
    for several (``repeats.pooled``): then each person's mean over them.

    Columns: site, value, low, high (95 % bootstrap over people, see ``workbench.stats``), n (people).
    """
    rows = []
    for site, part in _by_site_and_all(table):
        found = _difference(part, first, other)
        rows.append({"site": site, "value": found.estimate, "low": found.low, "high": found.high, "n": found.n})
    return pd.DataFrame(rows)


def each_difference(table: pd.DataFrame, first: str, other: str) -> pd.DataFrame:
    """The ``value`` of :func:`differences`, of the same people, for each run of the first with each of the other, where
    one of the two stands for several: columns site, value, runs (both names). Empty where both are one run."""
    rows = []
    for site, part in _by_site_and_all(table):
        people = [_people(part[part["run"] == run]) for run in (first, other)]
        both = people[0].index.intersection(people[1].index)
        for a, b in itertools.product(*people) if max(p.shape[1] for p in people) > 1 else ():
            value = (people[0].loc[both, a] - people[1].loc[both, b]).mean()
            rows.append({"site": site, "value": value, "runs": f"{a} minus {b}"})
    return pd.DataFrame(rows, columns=["site", "value", "runs"])


def shares(table: pd.DataFrame, runs: list[str]) -> pd.DataFrame:
    """Share of right answers of each run, by site: name, and the columns of :func:`by_site`."""
    found = by_site(table, runs)
    return found.assign(name=[f"{r.site}, {r.run} (n = {r.n})" for r in found.itertuples()])


def by_site(table: pd.DataFrame, runs: list[str], metric: str = "") -> pd.DataFrame:
    """Mean over people of each run at each site, and of all.

    Args:
        table: From :func:`scores`; or from ``repeats.pooled``, in which a run may stand for several.
        runs: Of the column ``run``, in the order in which they stand.
        metric: What is scored; a t interval is cut to the values that there are of it.

    Returns:
        site, run, value, low, high (95 %, see below), n (people), runs (how many this is), lowest, highest (of their
        means). Each person counts with the mean of their scans; of several runs people whom all of them scored. The
        interval is a bootstrap over people; with three runs or more a two-way random-effects t interval over runs and
        people, which has the variation of the seed in it (``workbench.stats``).
    """
    rows, known = [], _measure_of(metric)
    most = math.inf if known is None else known.most
    for site in ["all sites", *sorted(set(table["site"]) - {UNKNOWN})]:
        for run in runs:
            part = table[(table["run"] == run) & ((table["site"] == site) | (site == "all sites"))]
            person = _people(part)
            if not len(person):
                continue
            if person.shape[1] < ENOUGH:
                found = _interval(tuple(person.mean(axis=1).tolist()))
            else:
                long = person.stack()
                people, repeats = (long.index.get_level_values(k).to_numpy(str) for k in (0, 1))
                found = two_level_interval(long.to_numpy(float), people, repeats, method="t")
                found = dataclasses.replace(found, low=max(found.low, 0.0), high=min(found.high, most))
            means = person.mean(axis=0)
            ends = (found.estimate, found.low, found.high, found.n, person.shape[1], means.min(), means.max())
            rows.append([site, run, *ends])
    return pd.DataFrame(rows, columns=["site", "run", "value", "low", "high", "n", "runs", "lowest", "highest"])


ENOUGH = 3  # runs from which their variation can be estimated: of two it has one degree of freedom


def _people(part: pd.DataFrame) -> pd.DataFrame:
    """A row a person whom all runs of this part scored, a column a run: the mean of their scans."""
    part = part[part["value"].notna()]
    column = part["repeat"] if "repeat" in part else part["run"]
    return part.groupby([part["participant"].astype(str), column.rename("repeat")])["value"].mean().unstack().dropna()


def every_measure(
    catalog: Catalog, runs: list[str], part: str = "all", groups: dict[str, list[str]] | None = None
) -> pd.DataFrame:
    """:func:`by_site` of all that these runs can be compared by, with a column ``measure`` before it.

    Args:
        catalog: Of the runs.
        runs: To compare; each measure is told of those that have it.
        part: Of the people: ``"test"``, ``"validation"``, ``"train"`` or ``"all"``.
        groups: Runs that count as repeats of one; from ``repeats.repeats``.
    """
    tables = []
    for metric in metrics_of(catalog, runs):
        table = scores(catalog, runs, metric)
        table = table if part == "all" else table[table["split"] == part]
        found = by_site(pooled(table, groups), list(groups), metric) if groups else by_site(table, runs, metric)
        found.insert(0, "measure", metric)
        tables.append(found)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _difference(part: pd.DataFrame, first: str, other: str) -> Interval:
    a, b = (_people(part[part["run"] == run]).mean(axis=1) for run in (first, other))
    both = a.index.intersection(b.index)
    if not len(both):
        return Interval(math.nan, math.nan, math.nan, 0)
    return _interval(tuple((a[both] - b[both]).tolist()))


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
    return f"{target}: {RIGHT}"


def _numbers(column: pd.Series) -> pd.Series:
    return pd.to_numeric(column, errors="coerce")
