"""A task's performance by site, beside the distance of that site from the people it was trained on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.analysis.config import ShiftConfig
from workbench.analysis.shift_measures import energy_distance
from workbench.errors import WorkbenchError
from workbench.runs import Run
from workbench.stats import bootstrap_interval

DRAWS = 2000


def task_by_site(task: Run, scans: pd.DataFrame, vectors: np.ndarray, config: ShiftConfig) -> pd.DataFrame:
    """One row a site with test people: score (mean Dice of a person's structures, or AUROC) with a 95 % interval over
    people, and the energy distance between the site's test people and the training people in the embedding.

    Raises:
        WorkbenchError: the task is of another kind, or its people are not among the embedded.
    """
    if task.job not in ("segment", "classify"):
        raise WorkbenchError(f"{task.path}: not a task", cause=f"it is a run of '{task.job}'",
                             remedy="give a segment or a classify run")
    scores = task.read_table("dice" if task.job == "segment" else "predictions")
    trained = set(task.provenance.get("participants", {}).get("train", []))
    spread = vectors.std(axis=0)
    standard = (vectors - vectors.mean(axis=0)) / np.where(spread > 1e-9, spread, 1)
    frame = pd.DataFrame(standard).groupby(scans["participant"].to_numpy(str)).mean()
    reference = frame[frame.index.isin(trained)].to_numpy()
    if len(reference) < 2:
        raise WorkbenchError(f"{task.path}: its training people are not among the embedded ones",
                             cause=f"{len(reference)} of {len(trained)} are",
                             remedy="embed the store it was trained on")
    site_of = dict(zip(scans["scan_id"], scans[config.site].astype(str), strict=True))
    scores = scores[scores["split"] == "test"].assign(place=lambda t: t["scan_id"].map(site_of))
    rows = []
    for site, group in scores.dropna(subset=["place"]).groupby("place"):
        if task.job == "segment":
            people = group.groupby("participant")["dice"].mean().dropna()
            value, (low, high) = float(people.mean()), bootstrap_interval(people.to_numpy(), seed=config.seed).ends
        else:
            people = group.groupby("participant").agg(score=("score", "mean"), truth=("truth", "first"))
            positive = (people["truth"] == task.provenance["positive"]).to_numpy()
            value, low, high = auroc(people["score"].to_numpy(), positive, config.seed)
        mine = frame[frame.index.isin(set(people.index) - trained)].to_numpy()
        rows.append({"site": site, "score": "dice" if task.job == "segment" else "auroc", "value": value, "low": low,
                     "high": high, "people": len(people),
                     "energy_from_training": energy_distance(mine, reference) if len(mine) > 1 else np.nan})
    return pd.DataFrame(rows).sort_values("energy_from_training")


def auroc(scores: np.ndarray, positive: np.ndarray, seed: int) -> tuple[float, float, float]:
    """AUROC and its 95 % interval, people resampled within each class; NaN where only one class is there."""
    a, b = scores[positive], scores[~positive]
    if not len(a) or not len(b):
        return np.nan, np.nan, np.nan
    wins = (a[:, None] > b) + 0.5 * (a[:, None] == b)
    rng = np.random.default_rng(seed)
    draws = [wins[np.ix_(rng.integers(len(a), size=len(a)), rng.integers(len(b), size=len(b)))].mean()
             for _ in range(DRAWS)]
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(wins.mean()), float(low), float(high)
