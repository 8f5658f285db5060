"""How far people move in an embedding as years pass, against how far people are apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy
from scipy.spatial.distance import cdist

from workbench.found.years import PER_YEAR, SHARED
from workbench.stats import bootstrap_interval
from workbench.stats.slopes import own_slopes

DRAWS = 2000
MOVED = "moved from the first to the last scan"
AT_ONCE = "apart with no time between"
BEYOND = "apart per year beyond that"
UNIT = "of the distance between two people"


@dataclass(frozen=True)
class Moved:
    """People in an embedding."""

    people: pd.DataFrame
    """A row a person: moved, moved_per_year, direction."""
    pairs: pd.DataFrame
    """A row two times of a person: years between them, how far apart."""
    alike: np.ndarray
    """``(people, people)``: cosine of their changes."""


def of_people(vectors: np.ndarray, scans: pd.DataFrame) -> Moved:
    """How far each person moved.

    Distances are Euclidean and counted in the mean distance between the first scans of two people. ``direction`` is the
    mean cosine of a person's change with the changes of the others: 0 by chance.

    Args:
        vectors: ``(rows, D)``, standardised; a row a person and time.
        scans: The same rows: participant, years, group, first_age.
    """
    people = scans["participant"].to_numpy(str)
    years = scans["years"].to_numpy(float)
    first = scans.sort_values("years", kind="stable").drop_duplicates("participant").index.to_numpy()
    apart = cdist(vectors[first], vectors[first])
    between = float(apart[np.triu_indices(len(first), 1)].mean())
    names, slopes = own_slopes(vectors, years, people)
    size = np.linalg.norm(slopes, axis=1, keepdims=True)
    unit = slopes / np.where(size > 0, size, 1.0)
    alike = unit @ unit.T
    direction = (alike.sum(0) - np.diag(alike)) / max(len(unit) - 1, 1)
    rows: list[dict[str, Any]] = []
    pairs: list[dict[str, Any]] = []
    for i, name in enumerate(names):
        mine = np.flatnonzero(people == name)
        mine = mine[np.argsort(years[mine], kind="stable")]
        within = cdist(vectors[mine], vectors[mine]) / (between or np.nan)
        span = float(years[mine[-1]] - years[mine[0]])
        rows.append(
            {
                "participant": str(name),
                "group": scans["group"].iloc[mine[0]],
                "first_age": float(scans["first_age"].iloc[mine[0]]),
                "scans": len(mine),
                "years": span,
                "moved": float(within[0, -1]),
                "moved_per_year": float(within[0, -1]) / span,
                "direction": float(direction[i]),
            }
        )
        pairs += [
            {"participant": str(name), "years": float(years[mine[b]] - years[mine[a]]), "apart": float(within[a, b])}
            for a in range(len(mine))
            for b in range(a + 1, len(mine))
        ]
    return Moved(pd.DataFrame(rows), pd.DataFrame(pairs), alike)


def told(moved: Moved, chosen: np.ndarray, seed: int) -> list[dict[str, Any]]:
    """Rows of ``summary`` about the ``chosen`` people (bool): measure, value, low, high, p, people, scans."""
    people = moved.people[chosen]
    rows = []
    facts = {"people": len(people), "scans": int(people["scans"].sum())}
    for measure, column in ((MOVED, "moved"), (PER_YEAR, "moved_per_year")):
        found = bootstrap_interval(people[column].to_numpy(float), seed=seed)
        rows.append({"measure": measure, "value": found.estimate, "low": found.low, "high": found.high, **facts})
    rows.append({"measure": SHARED, **shared(moved.alike[np.ix_(chosen, chosen)], seed), **facts})
    pairs = moved.pairs[moved.pairs["participant"].isin(people["participant"])]
    return rows + [{**row, **facts} for row in _line(pairs, seed)]


def shared(alike: np.ndarray, seed: int) -> dict[str, float]:
    """Mean cosine of two people's changes, with its interval and p.

    The interval is the jackknife's over people (with Student's t), which is too wide rather than too narrow where
    nothing is shared (Efron & Stein 1981, Ann. Stat. 9:586); p is by turning people's changes round, since noise turned
    round is noise (Fisher).

    Args:
        alike: ``(people, people)`` cosines of their changes.
        seed: Of the turns.
    """
    n = len(alike)
    by_person = alike.sum(0) - np.diag(alike)
    whole = float(by_person.sum())
    without = (whole - 2 * by_person) / ((n - 1) * (n - 2))  # the same without each person
    error = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    value, half = whole / (n * (n - 1)), float(scipy.stats.t.ppf(0.975, n - 1) * error)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(DRAWS, n))
    length = ((signs @ alike) * signs).sum(axis=1)  # of the sum of all, squared
    p = float((1 + (length >= alike.sum() - 1e-9).sum()) / (1 + DRAWS))
    return {"value": value, "low": value - half, "high": min(value + half, 1.0), "p": p}


def _line(pairs: pd.DataFrame, seed: int) -> list[dict[str, Any]]:
    """The line of the distance against the years between: two scans are apart even with no time between, and only
    what comes on top of that is change. Nothing where people's scans are all as many years apart."""
    years, apart = pairs["years"].to_numpy(), pairs["apart"].to_numpy()
    if len(pairs) < 3 or np.ptp(years) < 0.25 * years.mean():
        return []
    blocks = [np.flatnonzero(pairs["participant"] == name) for name in pairs["participant"].unique()]
    rng, draws = np.random.default_rng(seed), []
    for _ in range(DRAWS):
        take = np.concatenate([blocks[i] for i in rng.integers(len(blocks), size=len(blocks))])
        if np.ptp(years[take]) > 0:
            draws.append(np.polyfit(years[take], apart[take], 1))
    slope, level = np.polyfit(years, apart, 1)
    ends = np.quantile(np.array(draws), [0.025, 0.975], axis=0)
    return [
        {"measure": name, "value": float(value), "low": float(ends[0, i]), "high": float(ends[1, i])}
        for i, name, value in ((1, AT_ONCE, level), (0, BEYOND, slope))
    ]
