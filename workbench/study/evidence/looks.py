"""What a look into an encoder gave for each person: from the tables of a run to measures."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from workbench.measures import MEASURES
from workbench.prepare.store import open_store
from workbench.runs import Run

WHO = ["participant", "site", "structure"]
NOWHERE = ""  # site of a person who is at several; structure of what has none


def of_look(run: Run) -> pd.DataFrame:
    """A row a person (site, structure): WHO, and a column a measure."""
    return READERS[run.job](run)


def _tokens(run: Run) -> pd.DataFrame:
    rows = run.read_table("correspondence")
    rows = rows[rows["weights"] == run.config["init"]].rename(columns={"target_site": "site"})
    return _mean(_with(rows, "token_hit", "token_distance_mm"))


def _attend(run: Run) -> pd.DataFrame:
    """The share outside the brain is of the whole scan, the rank of each region."""
    who = open_store(run.config["store"]).index[["scan_id", "participant", "site"]]
    outside = run.read_table("attention").query("head == 'mean'").merge(who, on="scan_id")
    parts = [_with(outside.assign(structure=NOWHERE), "attention_outside")]
    if "region_mass" in run.tables():
        mass = run.read_table("region_mass")
        mass = mass[mass["weights"] == run.config["init"]].merge(who, on="scan_id")
        parts.append(_with(mass.rename(columns={"region": "structure"}), "region_rank"))
    return _mean(pd.concat(parts))


def _reliability(run: Run) -> pd.DataFrame:
    rows = run.read_table("people")
    rows = rows[rows["kind"] == "embedding"].assign(site=NOWHERE, structure=NOWHERE)
    return _with(rows, "discriminability", "identified")


def _probe(run: Run) -> pd.DataFrame:
    """Of a person's site there may be no model of another one, nor of its own: then that measure is not there."""
    rows = run.read_table("probe")
    rows = rows[rows["weights"] == run.provenance["first"]]
    return _mean(_with(rows, "probe_between", "probe_within", "probe_hit_between")).dropna(axis=1, how="all")


def _with(rows: pd.DataFrame, *names: str) -> pd.DataFrame:
    """WHO, and a column for each of these measures."""
    return rows[WHO].assign(**{name: MEASURES[name].values(rows) for name in names})


def _mean(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.groupby(WHO).mean().reset_index()


READERS: dict[str, Callable[[Run], pd.DataFrame]] = {
    "tokens": _tokens,
    "attend": _attend,
    "reliability": _reliability,
    "probe": _probe,
}
