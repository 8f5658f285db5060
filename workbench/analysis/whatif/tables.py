"""Numbers of a what-if over people: the unit of distance, curves over strength, and where decisions flip."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.analysis.whatif.measures import MEASURES
from workbench.columns import at_known_site
from workbench.errors import WorkbenchError
from workbench.stats import bootstrap_interval


def spread_within_sites(scans: pd.DataFrame, vectors: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """Each feature's standard deviation over scans, and the unit of distance: the root mean square distance of a person
    from the mean of the site, features standardised."""
    known = at_known_site(scans).to_numpy()
    scans, vectors = scans[known].reset_index(drop=True), vectors[known]
    deviation = vectors.std(axis=0)
    scale = np.where(deviation > 1e-9, deviation, np.inf)  # what never varies has no unit
    frame = pd.DataFrame(vectors / scale).groupby([scans["site"].astype(str), scans["participant"]]).mean()
    by_site = frame.groupby(level=0)
    sizes, middles = by_site.size(), by_site.mean()
    if not (sizes > 1).any():
        raise WorkbenchError(
            "no site has two people embedded", cause="the spread within sites is not known", remedy="embed more people"
        )
    residual = (frame - by_site.transform("mean")).to_numpy()
    free = int((sizes - 1).sum())
    spread = float(np.sqrt((residual**2).sum() / free))
    m = middles.to_numpy()
    gaps = [np.linalg.norm(m[i] - m[j]) for i in range(len(m)) for j in range(i)]
    return scale, {
        "spread": spread,
        "people": len(frame),
        "sites": len(sizes),
        "between_site_means": float(np.mean(gaps)) / spread if gaps else np.nan,
    }


def curves(table: pd.DataFrame, participant: dict[str, str], seed: int) -> pd.DataFrame:
    """Mean over people of each measure with its 95 % interval, by change and strength."""
    table = table.assign(participant=table["scan_id"].map(participant))
    rows = []
    for (change, strength), group in table.groupby(["change", "strength"], sort=False):
        people = group.groupby("participant")[list(MEASURES)].mean()
        for measure in MEASURES:
            values = people[measure].dropna().to_numpy()
            if len(values):
                low, high = bootstrap_interval(values, seed=seed).ends
                rows.append(
                    {
                        "change": change,
                        "strength": strength,
                        "measure": measure,
                        "value": values.mean(),
                        "low": low,
                        "high": high,
                        "people": len(values),
                    }
                )
    return pd.DataFrame(rows)


def flips(table: pd.DataFrame) -> pd.DataFrame:
    """By scan and change: the score of the unchanged scan and the first strength at which it crosses 0.5, linear
    between the steps; NaN where it stays on its side up to the strongest."""
    rows = []
    for (scan, change), group in table.dropna(subset=["score"]).groupby(["scan_id", "change"], sort=False):
        group = group.sort_values("strength")
        strengths, margins = group["strength"].to_numpy(), group["score"].to_numpy() - 0.5
        crossed = np.flatnonzero((margins > 0) != (margins[0] > 0))
        at = np.nan
        if len(crossed):
            i = crossed[0]
            a, b = margins[i - 1], margins[i]
            at = float(strengths[i - 1] + (strengths[i] - strengths[i - 1]) * (a / (a - b) if a != b else 1.0))
        rows.append(
            {
                "scan_id": scan,
                "change": change,
                "score_unchanged": margins[0] + 0.5,
                "flips_at": at,
                "strongest": strengths[-1],
            }
        )
    return pd.DataFrame(rows, columns=["scan_id", "change", "score_unchanged", "flips_at", "strongest"])
