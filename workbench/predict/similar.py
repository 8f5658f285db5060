"""Where else does the encoder see this? The cosine of every patch token with that of a place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.predict.query import Query
from workbench.predict.token_grid import BRAIN, TokenGrid, query_vector
from workbench.prepare.one import Scans
from workbench.volumes import Grid


@dataclass(frozen=True)
class SimilarTokens:
    """Cosines on the prepared grid of the scan that was searched."""

    values: np.ndarray
    """``(X, Y, Z)`` float32; -1 where a token is not brain, which keeps it out of every range that is shown."""
    brain_P: np.ndarray
    """Cosines of the tokens that are brain, sorted."""
    best_mm: tuple[float, float, float]
    """The most similar place; in the query's own scan, beyond its own token and those that touch it."""
    best: float


def similar_tokens(
    source: TokenGrid, query: Query, scans: Scans, scan: str, target: TokenGrid, prepared: Grid, *, own: bool
) -> SimilarTokens:
    """Compare the token of a place in a scan with all tokens of the same or another scan.

    Args:
        source: Tokens of the scan that holds the place.
        query: The place.
        scans: Holds that scan …
        scan: … under this name.
        target: Tokens of the scan that is searched.
        prepared: Its prepared grid.
        own: Whether both are one scan.

    Raises:
        ScanError: the place is outside the prepared box.
    """
    cosines = target.unit_PD @ query_vector(source, query, scans, scan)
    brain = target.brain >= BRAIN
    elsewhere = np.where(brain, cosines, -np.inf)
    if own:
        place = np.stack(np.unravel_index(np.arange(len(cosines)), target.grid_xyz), 1)
        elsewhere[np.abs(place - place[int(np.argmax(cosines))]).max(axis=1) <= 1] = -np.inf
    best = int(elsewhere.argmax())
    x, y, z = (float(v) for v in prepared.to_world(target.centre(best)))
    values = target.voxels(np.where(brain, cosines, -1.0), prepared.shape)
    return SimilarTokens(values, np.sort(cosines[brain]), (x, y, z), float(cosines[best]))
