"""Neighbours in the full space, and how much of them a picture keeps."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.engine.streams import Purpose, stream
from workbench.predict.nearest import nearest_rows

MANY = 5000  # scans, from where on most distances are ruled out and not taken; the neighbours are the same
SAMPLE = 2000  # scans that the quality of a picture is computed on: it needs all their pairs
PICTURES = ("pca", "umap", "tsne")


def nearest(ids: list[str], vectors: np.ndarray, other_ids: list[str], others: np.ndarray, *, k: int) -> pd.DataFrame:
    """The ``k`` nearest scans (rank 1 … k, Euclidean) of each, never itself."""
    from sklearn.neighbors import NearestNeighbors

    if len(others) > MANY:
        places, distances = nearest_rows(vectors, others, k + 1)
    else:
        search = NearestNeighbors(n_neighbors=min(k + 1, len(others)), algorithm="brute").fit(others)
        distances, places = search.kneighbors(vectors)
    names = np.array(other_ids, dtype=object)[places]
    itself = names == np.array(ids, dtype=object)[:, None]
    order = np.argsort(itself, axis=1, kind="stable")  # itself goes to the end
    keep = min(k, len(others) - int(bool(itself.any())))
    rows = np.arange(len(ids))[:, None]
    names, distances = names[rows, order][:, :keep], distances[rows, order][:, :keep]
    return pd.DataFrame(
        {
            "scan_id": np.repeat(np.array(ids, dtype=object), keep),
            "rank": np.tile(np.arange(1, keep + 1), len(ids)),
            "neighbour": names.ravel(),
            "distance": distances.ravel().astype(np.float32),
        }
    )


def picture_quality(standard: np.ndarray, places: pd.DataFrame, k: int, seed: int) -> pd.DataFrame:
    """Trustworthiness (neighbours in the picture are neighbours) and continuity (neighbours stay neighbours), from 0
    to 1, of each picture (Venna & Kaski 2001)."""
    from sklearn.manifold import trustworthiness

    n = len(standard)
    take = np.arange(n) if n <= SAMPLE else np.sort(stream(seed, Purpose.LOOKS, 5).choice(n, SAMPLE, replace=False))
    k = max(1, min(k, (len(take) - 1) // 2))
    rows = []
    for name in PICTURES:
        xy, full = places[[f"{name}_1", f"{name}_2"]].to_numpy()[take], standard[take]
        rows.append(
            {
                "picture": name,
                "neighbours": k,
                "scans": len(take),
                "trustworthiness": float(trustworthiness(full, xy, n_neighbors=k)),
                "continuity": float(trustworthiness(xy, full, n_neighbors=k)),
            }
        )
    return pd.DataFrame(rows)
