"""What is unusual of a scan among those of its own site, so that the doubtful ones come first."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError
from workbench.explorer.session.state import ExplorerState

FEW = 4  # scans of a site below which nothing is called unusual
MANY = 500  # scans beyond which the noise is not measured while somebody waits


def measured(state: ExplorerState) -> pd.DataFrame:
    """One row a scan of the cohort, in its order: scan_id and what could be found of

    snr:      brain's spread over its voxel-to-voxel noise, in the prepared scan (no unit)
    spacing:  largest edge of a voxel as given (mm)
    brain:    volume of the brain (ml)
    distance: from the middle of the own site in the embedding (standardised, no unit)
    """
    cohort = state.cohort
    out = pd.DataFrame({"scan_id": cohort["scan_id"]})
    if {"sx", "sy", "sz"} <= set(cohort):
        out["spacing"] = cohort[["sx", "sy", "sz"]].apply(pd.to_numeric, errors="coerce").max(axis=1)
    if "brain_ml" in cohort:
        out["brain"] = pd.to_numeric(cohort["brain_ml"], errors="coerce")
    if len(cohort) <= MANY and state.embed_run:
        store = state.catalog.store(state.embed_run)
        index = store / "results" / "index.parquet"
        changed = index.stat().st_mtime_ns if index.is_file() else 0
        out["snr"] = [_snr(store, str(scan_id), changed) for scan_id in cohort["scan_id"]]
    distance = _distance(state)
    if distance is not None:
        out["distance"] = distance
    return out.dropna(axis=1, how="all")


def within_site(table: pd.DataFrame, site: pd.Series) -> pd.DataFrame:
    """Each measure as robust z (median and MAD) within its site; NaN where a site has fewer than 4."""

    def z(values: pd.Series) -> pd.Series:
        away = values - values.median()
        spread = 1.4826 * away.abs().median()
        if values.notna().sum() < FEW:
            return values * np.nan
        return away / spread if spread > 0 else away.where(away == 0, np.sign(away) * 10.0)

    names = site.fillna("unknown").astype(str).to_numpy()
    measures = [column for column in table if column != "scan_id"]
    if not measures:
        return table[measures]
    return table[measures].groupby(names).transform(z)


def unusual(z: pd.DataFrame) -> pd.Series:
    """The largest absolute z of a scan; 0 where nothing is known. Only a low SNR and a large distance count."""
    sided = z.abs()
    if "snr" in z:
        sided["snr"] = (-z["snr"]).clip(lower=0)
    if "distance" in z:
        sided["distance"] = z["distance"].clip(lower=0)
    return sided.max(axis=1).fillna(0.0)


def _distance(state: ExplorerState) -> np.ndarray | None:
    if not state.embed_run or "embeddings" not in state.catalog.run(state.embed_run).tables():
        return None
    table = state.catalog.table(state.embed_run, "embeddings").set_index("scan_id")
    token = str(state.catalog.config(state.embed_run).get("token", "cls"))
    if token not in table or "site" not in state.cohort:
        return None
    found = table[token].reindex(state.cohort["scan_id"])
    if found.isna().any():
        return None
    vectors = np.stack([np.asarray(v, float) for v in found])
    spread = vectors.std(axis=0)
    vectors = (vectors - vectors.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    sites = state.cohort["site"].fillna("unknown").astype(str).to_numpy()
    out = np.full(len(vectors), np.nan)
    for site in np.unique(sites):
        mine = sites == site
        out[mine] = np.linalg.norm(vectors[mine] - np.median(vectors[mine], axis=0), axis=1)
    return out


@functools.lru_cache(maxsize=5000)
def _snr(store: Path, scan_id: str, changed: int) -> float:
    from workbench.explorer.cohort.pictures import opened_store

    opened = opened_store(store, changed)
    if opened is None or scan_id not in opened[1]:
        return float("nan")
    try:
        return snr(np.asarray(opened[0].read(scan_id), np.float32))
    except (WorkbenchError, OSError, ValueError):
        return float("nan")


def snr(volume: np.ndarray) -> float:
    """Spread of the brain (what is not 0) over its noise, which the differences of neighbours' means tell.

    Along each axis the second difference of three neighbours removes what changes slowly; its median absolute value
    over √6 · 0.6745 is the noise's standard deviation (Immerkær 1996, in one dimension).
    """
    inside = volume != 0
    if inside.sum() < 100:
        return float("nan")
    parts = []
    for axis in range(3):
        a, b, c = (np.take(volume, range(k, volume.shape[axis] - 2 + k), axis=axis) for k in range(3))
        whole = np.minimum.reduce([np.abs(a), np.abs(b), np.abs(c)]) > 0
        parts.append(np.abs(a - 2 * b + c)[whole])
    noise = float(np.median(np.concatenate(parts))) / (np.sqrt(6) * 0.6745)
    return float(volume[inside].std() / noise) if noise > 0 else float("nan")
