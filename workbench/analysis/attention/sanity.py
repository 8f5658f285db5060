"""What a map must be held against: volume-matched regions at random places, and tokens with outlying norms."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.columns import at_known_site
from workbench.stats import bootstrap_interval

OUTLIER = 5.0  # robust standard deviations; a token beyond is an outlier (artefacts: arXiv 2309.16588)
BESIDE = "random beside"  # name of the random weights in tables
TRIES = 20  # places tried, at most, for each region placed


def robust_z(norms: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Distance from the median of the tokens that hold brain, in their robust standard deviations (1.4826 × the median
    absolute deviation). Empty background is left out of both: it is often the half of all tokens, all alike."""
    known = norms[brain > 0] if (brain > 0).any() else norms
    middle = np.median(known)
    spread = 1.4826 * np.median(np.abs(known - middle))
    return (norms - middle) / max(spread, 1e-6 * abs(middle), 1e-12)


def norm_facts(norms: np.ndarray, brain: np.ndarray) -> dict[str, float]:
    """Of one scan's patch tokens: how many are outliers, and how many of these lie in empty background."""
    outlier = robust_z(norms, brain) > OUTLIER
    return {
        "tokens": len(norms),
        "norm_median": float(np.median(norms)),
        "norm_largest": float(norms.max()),
        "outliers": int(outlier.sum()),
        "outliers_in_background": int((outlier & (brain == 0)).sum()),
        "background_tokens": int((brain == 0).sum()),
    }


def region_mass(
    values: np.ndarray, region: np.ndarray, brain: np.ndarray, draws: int, rng: np.random.Generator
) -> dict[str, float] | None:
    """Attention in a region against the same region moved to random places of the brain: same volume, same shape.

    Args:
        values: ``(X, Y, Z)`` attention, not negative.
        region, brain: Bool of the same shape.
        draws: Regions to place. A place counts where at least 95 % of the region is brain; the rest is left out of its
            mean.

    Returns:
        ``inside`` (mean attention in the region over that in the brain: 1 is what a region of average brain has),
        ``random`` (the same for the moved regions, their mean), ``rank`` (share of the moved regions with less, ties
        half: 0.5 is chance), ``placed``; None where nothing could be placed or the brain has no attention.
    """
    places = np.argwhere(region & brain)
    if not len(places) or not (level := float(values[brain].mean())):
        return None
    flat, inside = values.ravel(), brain.ravel()
    low, high = places.min(0), places.max(0)
    targets = np.argwhere(brain)
    shape = np.array(values.shape)
    strides = np.array([shape[1] * shape[2], shape[2], 1])
    own = float(values[tuple(places.T)].mean()) / level
    index = np.asarray(np.ravel_multi_index(tuple(places.T), values.shape))
    middle = np.rint(places.mean(0)).astype(int)
    found: list[float] = []
    for _ in range(draws * TRIES):
        shift = targets[rng.integers(len(targets))] - middle
        if (low + shift < 0).any() or (high + shift >= shape).any():
            continue
        moved = index + int(shift @ strides)
        kept = inside[moved]
        if kept.mean() >= 0.95:
            found.append(float(flat[moved[kept]].mean()) / level)
            if len(found) == draws:
                break
    if not found:
        return None
    others = np.array(found)
    rank = ((others < own).sum() + 0.5 * (others == own).sum()) / len(others)
    return {"inside": own, "random": float(others.mean()), "rank": float(rank), "placed": len(others)}


def mass_summary(table: pd.DataFrame, participant: dict[str, str], seed: int) -> pd.DataFrame:
    """By region and weights: mean rank and mean ratio inside / random with 95 % intervals over people, and the paired
    difference between the encoder's own weights and the random ones beside.

    The difference is what pretraining did: positions and the shape of the brain alone can lift a region above 0.5.

    Args:
        table: scan_id, region, weights and what ``region_mass`` gives.
        participant: Scan → person; a person's scans are averaged first.
    """
    table = table.assign(participant=table["scan_id"].map(participant), ratio=table["inside"] / table["random"])
    return pd.DataFrame(
        [
            {"region": region, **row}
            for region, group in table.groupby("region")
            for row in _over_people(group, ("rank", "ratio"), seed)
        ]
    )


def outside_summary(shares: pd.DataFrame, index: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Share of the attention that falls outside the brain, by weights, with 95 % intervals over people, and the paired
    difference as in ``mass_summary``: over everybody (site ``all``) and at each site.

    Args:
        shares: scan_id, weights, outside_brain.
        index: scan_id, participant, site.
    """
    table = shares.merge(index[["scan_id", "participant", "site"]], on="scan_id")
    return pd.DataFrame(
        [
            {"site": site, **row}
            for site, group in [("all", table), *table[at_known_site(table)].groupby("site")]
            for row in _over_people(group, ("outside_brain",), seed)
        ]
    )


def _over_people(table: pd.DataFrame, names: tuple[str, ...], seed: int) -> list[dict[str, object]]:
    """A row a kind of weights, and one for the paired difference, where both are there: means over people."""
    scans = {str(w): len(rows) for w, rows in table.groupby("weights")}
    people = {str(w): rows.groupby("participant")[list(names)].mean() for w, rows in table.groupby("weights")}
    own = next((w for w in people if w != BESIDE), None)
    if BESIDE in people and own is not None:
        scans[f"{own} - {BESIDE}"] = min(scans[own], scans[BESIDE])
        people[f"{own} - {BESIDE}"] = (people[own] - people[BESIDE]).dropna()
    rows = []
    for weights, means in people.items():
        row: dict[str, object] = {"weights": weights, "people": len(means), "scans": scans[weights]}
        for name in names:
            low, high = bootstrap_interval(means[name].to_numpy(), seed=seed).ends
            row |= {name: float(means[name].mean()), f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return rows
