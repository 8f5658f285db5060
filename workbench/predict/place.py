"""Where would this scan lie? Placed against the frozen reference of an embed run, none of whose scans moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.predict.reference import Reference

LISTED = 5
BOUND = 2000  # scans of the reference among which distances are taken, to tell an outlier


@dataclass(frozen=True)
class Placed:
    """The place of a scan among those of a reference."""

    places: pd.DataFrame
    """One row: umap_1, umap_2, tsne_1, tsne_2, pca_1, pca_2."""
    neighbours: pd.DataFrame
    """scan_id, distance: the nearest scans of the reference in the full space (standardised, Euclidean)."""
    farther: float
    """Share of the reference's scans that are nearer to their own nearest one than this scan is to its: 1 is an
    outlier, and then its place in UMAP and t-SNE says little."""
    mask: str
    """What was taken for the brain."""
    n: int
    """Scans of the reference."""


def place_vector(reference: Reference, vector: np.ndarray, mask: str) -> Placed:
    """The place of a vector ``(D,)`` among those of a reference.

    Args:
        reference: Of an embed run.
        vector: Of the same encoder and the same token.
        mask: What was taken for the scan's brain, in words.
    """
    from scipy.spatial.distance import cdist

    standard = reference.standardise(vector[None])
    distance = cdist(standard, reference.vectors)[0]
    order = np.argsort(distance, kind="stable")[:LISTED]
    near = pd.DataFrame({"scan_id": [reference.scan_ids[i] for i in order], "distance": distance[order]})
    some = reference.vectors[:BOUND]
    own = cdist(some, some) + np.diag(np.full(len(some), np.inf))
    return Placed(
        reference.place(["own"], vector[None]),
        near,
        float((own.min(1) < distance[order[0]]).mean()),
        mask,
        len(reference.scan_ids),
    )
