"""The tables of the job: intraclass correlations, shares of variance, and who is recognised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from workbench.analysis.config import ReliabilityConfig
from workbench.analysis.reliability.conditions import CONDITIONS, Complete, complete
from workbench.columns import at_known_site
from workbench.stats import bootstrap_interval
from workbench.stats.reliability import REST, discriminability, icc, identified, shares, variance_parts

DRAWS = 200  # of the intervals that need everything computed anew for each
PERSON = "person"
ABOUT = ["run", "kind", "across"]
INTERVAL = ["value", "low", "high", "chance", "people", "scans", "conditions"]
BOTH = [f"{name}{end}" for name in ("agreement", "consistency") for end in ("", "_low", "_high")]
COLUMNS = {
    "summary": [*ABOUT, "measure", *INTERVAL],
    "icc": [
        *ABOUT, "name", *BOTH, "people", "conditions", "within_sd",
        *(f"share_{part}" for part in (PERSON, *CONDITIONS, "scan", REST)),
    ],
    "shares": [*ABOUT, "part", "value", "low", "high", "people", "scans"],
    "people": [*ABOUT, "participant", "scans", "discriminability", "identified", "chance"],
    "pairs": [*ABOUT, "first", "second", "people", "identified", "chance", "median_icc"],
}  # fmt: skip
Factors = dict[str, np.ndarray]
Rows = dict[str, list[dict[str, Any]]]
DISCRIMINABILITY, IDENTIFIED = "discriminability", "identified under another condition"
MEDIAN, PERSONS_SHARE = "median ICC(2,1) of dimensions", "variance that is the person's"


def usable_factors(scans: pd.DataFrame, across: str, where: str) -> tuple[Factors, list[str]]:
    """What variance is divided by: the person, the condition, and every other of scanner, site and session that these
    scans can tell from them; and what must be said of those that they cannot."""
    people = scans["participant"].to_numpy(str)
    found: Factors = {PERSON: people, across: scans["condition"].to_numpy(str)}
    notes: list[str] = []
    flat = np.zeros(len(scans))
    try:
        variance_parts(flat, found)
    except ValueError as error:
        return {PERSON: people}, [f"{where}: variance is divided by person alone: {error}"]
    for name in CONDITIONS:
        if name == across or name not in scans or not at_known_site(scans, name).all():
            continue
        levels = scans[name].astype(str).to_numpy(str)
        if len(set(levels)) < 2:
            continue
        try:
            variance_parts(flat, {**found, name: levels})
        except ValueError as error:
            notes.append(f"{where}: no share of variance of its own for {name}: {error}")
        else:
            found[name] = levels
    return found, notes


def of_embedding(
    about: dict[str, Any],
    scans: pd.DataFrame,
    values: np.ndarray,
    shared: Complete | None,
    factors: Factors,
    config: ReliabilityConfig,
    rows: Rows,
) -> None:
    """Of vectors, every feature standardised over these scans, so that each weighs the same."""
    spread = values.std(axis=0)
    kept = np.flatnonzero(spread > 1e-9)
    standard = (values[:, kept] - values[:, kept].mean(0)) / spread[kept]
    people, conditions = scans["participant"].to_numpy(str), scans["condition"].to_numpy(str)
    facts = {"people": len(set(people)), "scans": len(scans), "conditions": len(set(conditions))}
    apart = cdist(standard, standard)
    hit, chance = identified(apart, people, conditions)
    each = (
        pd.DataFrame({"participant": people, "discriminability": discriminability(apart, people), "identified": hit})
        .assign(chance=chance, scans=1)
        .groupby("participant")
        .agg({"scans": "sum", "discriminability": "mean", "identified": "mean", "chance": "mean"})
        .reset_index()
    )
    rows["people"] += [{**about, **row} for row in each.to_dict("records")]
    for measure, column, by_chance in (
        (DISCRIMINABILITY, "discriminability", 0.5),
        (IDENTIFIED, "identified", float(each["chance"].mean())),
    ):
        found = bootstrap_interval(each[column].to_numpy(), seed=config.seed)
        rows["summary"].append(
            {
                **about, **facts, "measure": measure, "value": found.estimate, "low": found.low, "high": found.high,
                "chance": by_chance, "people": found.n,
            }
        )  # fmt: skip
    whole = _shares(standard, factors, config.seed)
    rows["shares"] += [
        {**about, "people": facts["people"], "scans": len(scans), "part": part, **row} for part, row in whole.items()
    ]
    rows["summary"].append({**about, **facts, "measure": PERSONS_SHARE, "chance": np.nan, **whole[PERSON]})
    names = [f"dimension {i}" for i in kept]
    _iccs({**about, "kind": "dimension"}, scans, standard, names, shared, factors, rows)
    scores = components(standard, config.components)
    _iccs(
        {**about, "kind": "component"},
        scans,
        scores,
        [f"component {i + 1}" for i in range(scores.shape[1])],
        shared,
        factors,
        rows,
    )
    if shared is not None and len(kept):
        complete_table = shared.table(scans, standard)
        rows["summary"].append(
            {
                **about, **facts, "measure": MEDIAN, "chance": 0.0, "people": len(shared.people),
                "conditions": len(shared.conditions), **_median(complete_table, config.seed),
            }
        )  # fmt: skip
    rows["pairs"] += [{**about, **row} for row in _pairs(scans, standard, apart)]


def of_numbers(
    about: dict[str, Any],
    scans: pd.DataFrame,
    values: np.ndarray,
    names: Sequence[str],
    shared: Complete | None,
    factors: Factors,
    seed: int,
    rows: Rows,
) -> None:
    """Of Dice, volumes or scores: a row a structure or class, and its shares of variance with intervals."""
    _iccs(about, scans, values, names, shared, factors, rows)
    for i, name in enumerate(names):
        for part, row in _shares(values[:, [i]], factors, seed).items():
            rows["shares"].append(
                {
                    **about, "part": f"{name}: {part}", "people": scans["participant"].nunique(), "scans": len(scans),
                    **row,
                }
            )  # fmt: skip


def _iccs(
    about: dict[str, Any],
    scans: pd.DataFrame,
    values: np.ndarray,
    names: Sequence[str],
    shared: Complete | None,
    factors: Factors,
    rows: Rows,
) -> None:
    parts = variance_parts(values, factors)
    floor = {name: np.maximum(part, 0.0) for name, part in parts.items()}
    total = sum(floor.values())
    within = np.sqrt(total - floor[PERSON])
    found = None if shared is None else icc(shared.table(scans, values))
    for i, name in enumerate(names):
        row = {**about, "name": name, "within_sd": within[i]}
        row |= {f"share_{part}": one[i] / total[i] if total[i] else np.nan for part, one in floor.items()}
        if found is not None and shared is not None:
            row |= {column: getattr(found, column)[i] for column in BOTH}
            row |= {"people": len(shared.people), "conditions": len(shared.conditions)}
        rows["icc"].append(row)


def _shares(values: np.ndarray, factors: Factors, seed: int) -> dict[str, dict[str, float]]:
    """Share of each part over all columns, with its 95 % interval over people, who are drawn with all their scans."""
    people, drawn = np.unique(factors[PERSON], return_inverse=True)
    rows_of = [np.flatnonzero(drawn == i) for i in range(len(people))]
    rng, draws = np.random.default_rng(seed), []
    for _ in range(DRAWS):
        chosen = rng.integers(len(people), size=len(people))
        take = np.concatenate([rows_of[i] for i in chosen])
        anew = np.repeat(np.arange(len(people)), [len(rows_of[i]) for i in chosen])  # one drawn twice is two people
        try:
            draws.append(
                shares(variance_parts(values[take], {k: anew if k == PERSON else v[take] for k, v in factors.items()}))
            )
        except ValueError:  # a draw in which, say, all are of one scanner tells nothing of scanners
            continue
    own = shares(variance_parts(values, factors))
    enough = len(draws) >= DRAWS // 2 and len(people) > 2
    table = pd.DataFrame(draws) if enough else None
    return {
        part: {
            "value": value,
            "low": np.nan if table is None else float(table[part].quantile(0.025)),
            "high": np.nan if table is None else float(table[part].quantile(0.975)),
        }
        for part, value in own.items()
    }


def _median(table: np.ndarray, seed: int) -> dict[str, float]:
    """Median over columns of ICC(2,1), with its interval over people."""
    rng, n = np.random.default_rng(seed), len(table)
    own = float(np.nanmedian(icc(table).agreement))
    if n < 3:
        return {"value": own, "low": np.nan, "high": np.nan}
    drawn = (rng.integers(n, size=n) for _ in range(DRAWS))
    found = [np.nanmedian(icc(table[take]).agreement) for take in drawn if len(set(take.tolist())) > 1]
    low, high = np.quantile(found, [0.025, 0.975])
    return {"value": own, "low": float(low), "high": float(high)}


def components(standard: np.ndarray, most: int) -> np.ndarray:
    """Scores ``(scans, k)`` on the first principal components of these scans."""
    left, size, _ = np.linalg.svd(standard - standard.mean(0), full_matrices=False)
    kept = size > 1e-9 * size.max(initial=0.0)
    return (left * size)[:, kept][:, :most]


def _pairs(scans: pd.DataFrame, standard: np.ndarray, apart: np.ndarray) -> Iterator[dict[str, Any]]:
    """Each two conditions by themselves: people who have both, recognised in the other, and the median ICC."""
    for first, second in combinations(sorted(set(scans["condition"])), 2):
        here = scans["condition"].isin([first, second]).to_numpy()
        both = scans[here].groupby("participant")["condition"].nunique()
        people = set(both.index[both == 2])
        here = here & scans["participant"].isin(people).to_numpy()
        if len(people) < 2:
            continue
        some = scans[here].reset_index(drop=True)
        hit, chance = identified(
            apart[np.ix_(here, here)], some["participant"].to_numpy(str), some["condition"].to_numpy(str)
        )
        shared = complete(some)
        yield {
            "first": first,
            "second": second,
            "people": len(people),
            "identified": float(np.nanmean(hit)),
            "chance": float(np.nanmean(chance)),
            "median_icc": np.nan
            if shared is None
            else float(np.nanmedian(icc(shared.table(some, standard[here])).agreement)),
        }
