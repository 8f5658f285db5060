"""A task's performance by site and by person, beside the distance from the people it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist
from scipy.stats import rankdata

from workbench.analysis.config import ShiftConfig
from workbench.analysis.inputs import TABLES
from workbench.analysis.shift.measures import energy_distance
from workbench.columns import UNKNOWN, at_known_site
from workbench.engine.streams import Purpose, stream
from workbench.errors import WorkbenchError
from workbench.runs import Run
from workbench.stats import bootstrap_interval

DRAWS = 2000
FEWEST = 8  # people that a correlation is given for
CHUNK = 1000  # people whose distances are held at a time
PAIRS = 2**20  # of people of both classes, up to which all are compared


@dataclass(frozen=True)
class Tested:
    """A task's test people in the embedding, and the people it was trained on."""

    kind: str  # dice or auroc
    rows: pd.DataFrame  # a row a test scan (and structure): participant, place, and the task's columns
    vectors: pd.DataFrame  # a row a person, features standardised
    trained: set[str]
    most: int  # people of either side that distances are taken between
    seed: int

    @cached_property
    def reference(self) -> np.ndarray:
        """Vectors of the training people, of ``most`` drawn where there are more."""
        return self.drawn(self.trained, 0)

    def drawn(self, people: set[str], number: int) -> np.ndarray:
        vectors = self.vectors[self.vectors.index.isin(people)].to_numpy()
        if len(vectors) <= self.most:
            return vectors
        rng = stream(self.seed, Purpose.LOOKS, 9, number)
        return vectors[np.sort(rng.choice(len(vectors), self.most, replace=False))]


def tested_people(task: Run, scans: pd.DataFrame, vectors: np.ndarray, config: ShiftConfig) -> Tested:
    """Raises:
    WorkbenchError: the task is of another kind, or its people are not among the embedded.
    """
    if task.job not in ("segment", "classify"):
        raise WorkbenchError(
            f"{task.path}: not a task", cause=f"it is a run of '{task.job}'", remedy="give a segment or a classify run"
        )
    scores = task.read_table(TABLES[task.job])
    trained = set(task.provenance.get("participants", {}).get("train", []))
    spread = vectors.std(axis=0)
    standard = (vectors - vectors.mean(axis=0)) / np.where(spread > 1e-9, spread, 1)
    frame = pd.DataFrame(standard).groupby(scans["participant"].to_numpy(str)).mean()
    known = int(frame.index.isin(trained).sum())
    if known < 2:
        raise WorkbenchError(
            f"{task.path}: its training people are not among the embedded ones",
            cause=f"{known} of {len(trained)} are",
            remedy="embed the store it was trained on",
        )
    places = scans[config.site].astype(object).where(at_known_site(scans, config.site), UNKNOWN).astype(str)
    site_of = dict(zip(scans["scan_id"], places, strict=True))
    rows = scores[scores["split"] == "test"].assign(place=lambda t: t["scan_id"].map(site_of)).dropna(subset=["place"])
    if task.job == "classify":
        rows = rows.assign(positive=(rows["truth"] == task.provenance["positive"]).to_numpy())
    kind = "dice" if task.job == "segment" else "auroc"
    return Tested(kind, rows, frame, trained, config.most_people, config.seed)


def task_by_site(tested: Tested, seed: int) -> pd.DataFrame:
    """One row a site with test people: score (mean Dice of a person's structures, or AUROC) with a 95 % interval over
    people, and the energy distance between the site's test people and the training people in the embedding, of so many
    of either (``energy_people``, ``energy_training``)."""
    rows = []
    for number, (site, group) in enumerate(tested.rows[at_known_site(tested.rows, "place")].groupby("place"), start=1):
        if tested.kind == "dice":
            people = group.groupby("participant")["dice"].mean().dropna().to_frame()
            value, (low, high) = (
                float(people["dice"].mean()),
                bootstrap_interval(people["dice"].to_numpy(), seed=seed).ends,
            )
        else:
            people = group.groupby("participant").agg(score=("score", "mean"), positive=("positive", "first"))
            value, low, high = auroc(people["score"].to_numpy(), people["positive"].to_numpy(bool), seed)
        mine = tested.drawn(set(people.index) - tested.trained, number)
        rows.append(
            {
                "site": site,
                "score": tested.kind,
                "value": value,
                "low": low,
                "high": high,
                "people": len(people),
                "energy_from_training": energy_distance(mine, tested.reference) if len(mine) > 1 else np.nan,
                "energy_people": len(mine),
                "energy_training": len(tested.reference),
            }
        )
    return pd.DataFrame(rows).sort_values("energy_from_training")


def task_by_person(tested: Tested) -> pd.DataFrame:
    """A row a test person: ``score`` (mean Dice of the structures, or the probability given to the true class) and
    ``distance``, the mean Euclidean distance to the training people in the embedding."""
    rows = tested.rows
    each = rows["dice"] if tested.kind == "dice" else rows["score"].where(rows["positive"], 1 - rows["score"])
    people = rows.assign(each=each).groupby("participant").agg(site=("place", "first"), score=("each", "mean")).dropna()
    people = people[people.index.isin(tested.vectors.index) & ~people.index.isin(tested.trained)]
    mine = tested.vectors.loc[people.index].to_numpy()
    parts = [cdist(mine[i : i + CHUNK], tested.reference).mean(axis=1) for i in range(0, len(mine), CHUNK)]
    return people.assign(distance=np.concatenate([*parts, np.empty(0)])).reset_index()


def task_by_distance(people: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Spearman's correlation of score and distance with its 95 % bootstrap interval over people, over everybody (site
    ``all``) and within each site of at least ``FEWEST``: with few sites, the fall from site to site cannot be told from
    whatever else the sites differ in, but people of one site are near and far too."""
    rows = []
    for site, group in [("all", people), *people[at_known_site(people)].groupby("site")]:
        if len(group) >= FEWEST:
            found = bootstrap_interval(
                group[["distance", "score"]].to_numpy(), statistic=_spearman, seed=seed, draws=DRAWS
            )
            rows.append(
                {
                    "site": site,
                    "correlation": found.estimate,
                    "low": found.low,
                    "high": found.high,
                    "people": len(group),
                }
            )
    return pd.DataFrame(rows, columns=["site", "correlation", "low", "high", "people"])


def _spearman(pairs: np.ndarray) -> float:
    a, b = rankdata(pairs, axis=0).T
    spread = a.std() * b.std()
    return float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > 0 else 0.0


def auroc(scores: np.ndarray, positive: np.ndarray, seed: int) -> tuple[float, float, float]:
    """AUROC and its 95 % interval, people resampled within each class; NaN where only one class is there."""
    a, b = scores[positive], scores[~positive]
    if not len(a) or not len(b):
        return np.nan, np.nan, np.nan
    rng = np.random.default_rng(seed)
    if len(a) * len(b) > PAIRS:
        many = [_won(a[rng.integers(len(a), size=len(a))], b[rng.integers(len(b), size=len(b))]) for _ in range(DRAWS)]
        low, high = np.quantile(many, [0.025, 0.975])
        return _won(a, b), float(low), float(high)
    wins = (a[:, None] > b) + 0.5 * (a[:, None] == b)
    draws = [
        wins[np.ix_(rng.integers(len(a), size=len(a)), rng.integers(len(b), size=len(b)))].mean() for _ in range(DRAWS)
    ]
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(wins.mean()), float(low), float(high)


def _won(a: np.ndarray, b: np.ndarray) -> float:
    """Share of pairs in which the one of ``a`` is the larger; equal ones count half."""
    b = np.sort(b)
    below = np.searchsorted(b, a, side="left").sum() + np.searchsorted(b, a, side="right").sum()
    return float(below / (2 * len(a) * len(b)))
