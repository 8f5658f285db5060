"""The nearest of many vectors, exactly, without the distances to all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

FEW = 2**22  # pairs, up to which all distances are taken
BLOCK = 2**22  # bounds that are held at a time: 16 MB, and more was slower
GROUP = 32  # vectors whose smallest bound is looked at before theirs
AXES = (16, 32, 64, 128, 256)  # principal axes that the bounds may be taken along
TRIED, MEASURED = 48, 8192  # queries and vectors that the number of axes is chosen by
EXACT = 80  # a number of an exact distance costs as much as so many of a bound
LARGEST = 1e15  # numbers beyond have squares that float32 cannot add


def nearest_rows(queries: np.ndarray, among: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` nearest of ``among`` to each query, and how far they are.

    Distances are those of ``scipy.spatial.distance.cdist``, pair by pair, to the last bit: no query depends on the
    others. Where there are many, most are never taken: along the first principal axes of ``among``, with what is left
    beyond them as one more, two vectors are never farther apart than they are (the triangle inequality), such bounds
    are one small matrix product, and only what they do not rule out is measured. How many axes pay is tried on a few.

    Args:
        queries: ``(q, D)``.
        among: ``(n, D)``.
        k: How many, at most ``n``.

    Returns:
        Places in ``among`` and distances, ``(q, k)`` each, nearest first; of equally near ones the first.
    """
    k = min(k, len(among))
    places, distances = np.empty((len(queries), k), np.intp), np.empty((len(queries), k))
    bounds = None
    if len(queries) * len(among) > FEW and len(among) > 4 * GROUP * k:
        bounds = _choose(queries, among, k)
    rows = max(1, (BLOCK if bounds else FEW) // len(among))
    for start in range(0, len(queries), rows):
        some = queries[start : start + rows]
        low = bounds.of(some) if bounds else None
        whole = cdist(some, among) if low is None else None
        for i, query in enumerate(some):
            if whole is not None:
                near, far = np.arange(len(among)), whole[i]
            else:
                assert bounds is not None and low is not None
                near = bounds.left(low[i], query, among, k)
                far = cdist(query[None], among[near])[0]
            order = np.argsort(far, kind="stable")[:k]
            places[start + i], distances[start + i] = near[order], far[order]
    return places, distances


@dataclass(frozen=True)
class _Bounds:
    """Squared distances that no distance of the full space is below, but for rounding."""

    centre: np.ndarray  # (D,)
    turned: np.ndarray  # (D, D) principal axes, the widest first
    axes: int
    table: np.ndarray  # (axes + 3, groups * GROUP): columns of `among`, made so that a product gives squared distances
    n: int
    longest: float  # largest squared norm in `among`, centred

    @classmethod
    def along(cls, axes: int, turned: np.ndarray, centre: np.ndarray, among: np.ndarray) -> _Bounds:
        n = len(among)
        groups = -(-n // GROUP)
        table = np.zeros((axes + 3, groups * GROUP), np.float32)
        table[-1, n:] = np.finfo(np.float32).max / 4  # nobody is there
        longest = 0.0
        for start in range(0, n, 8192):
            part = _coordinates(among[start : start + 8192], centre, turned, axes)
            stop, norms = start + len(part), (part**2).sum(1)
            table[: axes + 1, start:stop], table[-2, start:stop], table[-1, start:stop] = -2 * part.T, 1, norms
            longest = max(longest, float(norms.max()))
        return cls(centre, turned, axes, table, n, longest)

    def of(self, queries: np.ndarray) -> np.ndarray:
        """Bounds of each query to all, less what rounding may have added: ``(q, GROUP, groups)``."""
        part = _coordinates(queries, self.centre, self.turned, self.axes)
        norms = (part**2).sum(1)
        # of a product of D numbers in float32, each factor itself the sum of D: more than the worst case
        slack = 8 * (len(self.centre) + 8) * np.finfo(np.float32).eps * (norms + self.longest)
        with_norms = np.column_stack([part, norms - slack, np.ones(len(part))]).astype(np.float32)
        return (with_norms @ self.table).reshape(len(part), GROUP, -1)

    def left(self, low: np.ndarray, query: np.ndarray, among: np.ndarray, k: int) -> np.ndarray:
        """Places of all that may be among the ``k`` nearest of a query, ascending."""
        groups = low.shape[1]
        smallest = low.min(axis=0)
        seen = np.argpartition(smallest, 2 * k)[: 2 * k]
        first = low[:, seen].argmin(axis=0) * groups + seen  # of each of the nearest groups the nearest
        far = cdist(query[None], among[first[first < self.n]])[0]
        within = np.partition(far, k - 1)[k - 1] ** 2  # k are at least as near
        open_ = np.flatnonzero(smallest <= within)
        member, group = np.nonzero(low[:, open_] <= within)
        return np.sort(member * groups + open_[group])


def _coordinates(vectors: np.ndarray, centre: np.ndarray, turned: np.ndarray, axes: int) -> np.ndarray:
    """Coordinates along the first axes, and the length of what is left beyond them: ``(n, axes + 1)`` float32."""
    whole = (vectors - centre).astype(np.float32) @ turned
    return np.column_stack([whole[:, :axes], np.sqrt((whole[:, axes:] ** 2).sum(1))])


def _choose(queries: np.ndarray, among: np.ndarray, k: int) -> _Bounds | None:
    """Bounds along as many axes as are cheapest for a few of the queries; None where numbers are too large for them."""
    if not all(x.min() > -LARGEST and x.max() < LARGEST for x in (queries, among)):  # NaN too
        return None
    centre = among.mean(axis=0, dtype=np.float64)
    few = among[:: max(1, len(among) // MEASURED)]
    spread = (few - centre).T @ (few - centre)
    turned = np.linalg.eigh(spread)[1][:, ::-1].astype(np.float32)
    tried = queries[:: max(1, len(queries) // TRIED)][:TRIED]
    width = among.shape[1]

    def cost(axes: int) -> float:
        bounds = _Bounds.along(axes, turned, centre, few)
        left = [len(bounds.left(low, one, few, k)) for low, one in zip(bounds.of(tried), tried, strict=True)]
        return axes + EXACT * width * float(np.mean(left)) / len(few)  # of one pair; among more a smaller share is left

    best = min([*(axes for axes in AXES if axes < width), width], key=cost)
    return _Bounds.along(best, turned, centre, among)
