"""Where else does the encoder see this? The cosine of every patch token with that of the clicked place."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.explorer.stored.files import NiftiFile, nifti_bytes
from workbench.volumes import Volume


@dataclass(frozen=True)
class Similar:
    """Cosines of the brain's tokens with the query's, as a map on the prepared grid, and what is worth saying."""

    file: NiftiFile
    brain_P: np.ndarray
    """Cosines of the tokens that are brain, sorted."""
    mm: tuple[float, float, float]
    best_mm: tuple[float, float, float]
    """The most similar place beyond the query's own token and those that touch it."""
    best: float
    own: bool
    """Whether the query is of this scan."""

    def range(self, share: float) -> list[float]:
        """Ends of the colours that show the most similar ``share`` per cent of the brain's tokens."""
        low = float(np.percentile(self.brain_P, 100 - share))
        return [low, max(float(self.brain_P[-1]), low + 1e-6)]


def similar_to(store: Any, encoder: Any, scan: str, mm: tuple[float, float, float], target: str) -> Similar:
    """Compare the token of a place in a scan with all tokens of the same or another scan, after the last block.

    Args:
        store: The prepared store that holds the scan.
        encoder: Of the same preparation.
        scan: scan_id.
        mm: World millimetres (RAS+) of the scan.
        target: scan_id of the scan that is searched.

    Raises:
        ScanError: the place is outside the prepared box.
    """
    from workbench.predict.query import Query
    from workbench.predict.similar import similar_tokens

    source, grid, prepared = tokens_of(store, encoder, scan), tokens_of(store, encoder, target), store.grid(target)
    found = similar_tokens(source, Query("voxel", mm=mm), store, scan, grid, prepared, own=target == scan)
    file = nifti_bytes(Volume(found.values, prepared.affine))
    return Similar(file, found.brain_P, mm, found.best_mm, found.best, target == scan)


@functools.lru_cache(maxsize=8)  # the next click in the same scan needs no pass
def tokens_of(store: Any, encoder: Any, scan: str) -> Any:
    """The ``TokenGrid`` of a scan."""
    from workbench.predict.token_grid import token_grid

    return token_grid(encoder, store, scan)
