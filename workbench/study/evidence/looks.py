"""What a look into an encoder gave for each person: from the tables of a run to measures."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from workbench.prepare.store import open_store
from workbench.runs import Run

WHO = ["participant", "site", "structure"]
NOWHERE = ""  # site of a person who is at several; structure of what has none


def of_look(run: Run) -> pd.DataFrame:
    """A row a person (site, structure): WHO, and a column a measure."""
    return READERS[run.job](run)


def _tokens(run: Run) -> pd.DataFrame:
    rows = run.read_table("correspondence")
    names = {"hit": "token_hit", "distance_mm": "token_distance_mm"}
    rows = rows[rows["weights"] == run.config["init"]].rename(columns={**names, "target_site": "site"})
    return rows.groupby(WHO)[list(names.values())].mean().reset_index()


def _attend(run: Run) -> pd.DataFrame:
    """The share outside the brain is of the whole scan, the rank of each region."""
    who = open_store(run.config["store"]).index[["scan_id", "participant", "site"]]
    outside = run.read_table("attention").query("head == 'mean'").merge(who, on="scan_id")
    outside = outside.assign(structure=NOWHERE).rename(columns={"outside_brain": "attention_outside"})
    parts = [outside[[*WHO, "attention_outside"]]]
    if "region_mass" in run.tables():
        mass = run.read_table("region_mass")
        mass = mass[mass["weights"] == run.config["init"]].merge(who, on="scan_id")
        parts.append(mass.rename(columns={"rank": "region_rank", "region": "structure"})[[*WHO, "region_rank"]])
    return pd.concat(parts).groupby(WHO).mean().reset_index()


def _reliability(run: Run) -> pd.DataFrame:
    rows = run.read_table("people")
    rows = rows[rows["kind"] == "embedding"]
    return rows[["participant", "discriminability", "identified"]].assign(site=NOWHERE, structure=NOWHERE)


READERS: dict[str, Callable[[Run], pd.DataFrame]] = {
    "tokens": _tokens,
    "attend": _attend,
    "reliability": _reliability,
}
