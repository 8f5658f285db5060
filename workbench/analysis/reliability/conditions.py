"""Under which condition each scan was made, and which people were scanned under the same ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.columns import at_known_site
from workbench.errors import WorkbenchError

CONDITIONS = ("scanner", "site", "session")
SCAN = "scan"  # a person's scans by their place in the order of their ids, where no column tells them apart


def with_condition(scans: pd.DataFrame, across: str, where: str) -> tuple[pd.DataFrame, str, list[str]]:
    """The scans of people who have several, with a column ``condition``; which column it is of; what must be said.

    Args:
        scans: ``scan_id``, ``participant`` and the cohort's columns.
        across: A column, ``scan``, or empty: of scanner, site and session the one that differs within most people (of
            equals the first), else ``scan``.

    Raises:
        WorkbenchError: the column is not there, or nobody was scanned under two conditions.
    """
    scans = scans.assign(**{SCAN: [f"scan {i}" for i in _places(scans)]})
    named = [name for name in CONDITIONS if name in scans]
    counts = {name: several(scans, name) for name in (*named, SCAN)}
    if across and across not in scans:
        raise WorkbenchError(
            f"{where}: its scans have no column '{across}'",
            cause=f"they have: {', '.join(map(str, scans.columns))}"[:300],
            remedy="choose another --across",
        )
    chosen = across or max((*named, SCAN), key=lambda name: (counts[name], name != SCAN))
    if across and across not in counts:
        counts[across] = several(scans, across)
    if counts[chosen] < 2:
        there = ", ".join(f"{name}: {n}" for name, n in counts.items())
        raise WorkbenchError(
            f"{where}: people with several scans are too few",
            cause=f"people with two or more, by {there}; two people are needed",
            remedy="gather people who were scanned several times"
            + (" or choose another --across" if across else " (on simulated ones: `workbench simulate --travelling`)"),
        )
    notes = []
    if not across:
        other = ", ".join(f"{name} {counts[name]}" for name in counts if name != chosen)
        notes.append(f"{where}: across {chosen}, in which {counts[chosen]} people have several (by {other})")
    known = scans[at_known_site(scans, chosen)]
    if len(known) < len(scans):
        notes.append(f"{where}: {len(scans) - len(known)} scans are left out, their {chosen} is not known")
    known = known.assign(condition=known[chosen].astype(str))
    repeated = known.groupby("participant")["condition"].transform("nunique") > 1
    return known[repeated].reset_index(drop=True), chosen, notes


def several(scans: pd.DataFrame, column: str) -> int:
    """People who have two or more levels of a column."""
    known = scans[at_known_site(scans, column)]
    return int((known.groupby("participant")[column].nunique() > 1).sum())


def _places(scans: pd.DataFrame) -> list[int]:
    order = scans.sort_values("scan_id").groupby("participant").cumcount() + 1
    return order.reindex(scans.index).astype(int).tolist()


@dataclass(frozen=True)
class Complete:
    """People who were scanned under all of some conditions."""

    people: list[str]
    conditions: list[str]
    left_out: list[str]
    """Conditions that were let go, each with its people."""

    def table(self, scans: pd.DataFrame, values: np.ndarray) -> np.ndarray:
        """``(people, conditions, columns)``: scans of the same person and condition are averaged."""
        person = {name: i for i, name in enumerate(self.people)}
        level = {name: i for i, name in enumerate(self.conditions)}
        at = np.array([person.get(p, -1) for p in scans["participant"]])
        under = np.array([level.get(c, -1) for c in scans["condition"]])
        use = (at >= 0) & (under >= 0)
        out = np.zeros((len(person), len(level), values.shape[1]))
        counts = np.zeros((len(person), len(level), 1))
        np.add.at(out, (at[use], under[use]), values[use])
        np.add.at(counts, (at[use], under[use]), 1)
        return out / counts


def complete(scans: pd.DataFrame) -> Complete | None:
    """The conditions, the commonest first, that keep most measurements when only people who have all of them stay;
    None where no two people share two conditions.

    An intraclass correlation needs the same conditions of everybody, so that what is not in the table is a choice: the
    caller says it.
    """
    has = scans.assign(one=1).pivot_table("one", "participant", "condition", aggfunc="max", fill_value=0)
    order = has.sum().sort_values(ascending=False, kind="stable").index
    best, most = 0, 0
    for k in range(2, len(order) + 1):
        n = int(has[order[:k]].all(axis=1).sum())
        if n >= 2 and n * k >= most:
            best, most = k, n * k
    if not best:
        return None
    chosen = sorted(order[:best])
    people = has.index[has[chosen].all(axis=1)]
    others = [f"{name} ({int(has[name].sum())} people)" for name in order[best:]]
    return Complete(list(map(str, people)), list(map(str, chosen)), others)
