"""What the bounds rule out was never among the nearest: the same places and distances as from all pairs, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from workbench.predict import nearest
from workbench.predict.nearest import nearest_rows

K = 4


def clustered(rng, n, width):
    return rng.normal(size=(n, 3)) @ rng.normal(size=(3, width)) + rng.normal(size=(n, width)) / 20


KINDS = {
    "clusters along few axes": clustered,
    "no axis wider than another": lambda rng, n, width: rng.normal(size=(n, width)),
    "everybody several times": lambda rng, n, width: np.repeat(rng.normal(size=(n // 5, width)), 5, axis=0),
    "all in one place": lambda rng, n, width: np.ones((n, width)),
    "far from the origin": lambda rng, n, width: clustered(rng, n, width) + 1e4,
    "of very different widths": lambda rng, n, width: rng.normal(size=(n, width)) * np.geomspace(1e-6, 1e6, width),
    "too large for float32": lambda rng, n, width: rng.normal(size=(n, width)) * 1e25,
}


def all_pairs(queries, among, k):
    distances = cdist(queries, among)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(distances, order, axis=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [2, 40])
def test_the_nearest_are_those_of_all_pairs(kind, width, monkeypatch):
    monkeypatch.setattr(nearest, "FEW", 0)
    among = KINDS[kind](np.random.default_rng(0), 1000, width).astype(np.float32)
    queries = np.concatenate([among[::50], among[:10] * np.float32(1.5)])
    for found, expected in zip(nearest_rows(queries, among, K), all_pairs(queries, among, K), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_most_distances_are_never_taken_and_no_query_depends_on_the_others(monkeypatch):
    taken = []

    def counted(a, b):
        taken.append(len(a) * len(b))
        return cdist(a, b)

    monkeypatch.setattr(nearest, "FEW", 0)
    monkeypatch.setattr(nearest, "BLOCK", 4000)  # some queries at a time
    monkeypatch.setattr(nearest, "cdist", counted)
    among = clustered(np.random.default_rng(0), 3000, 40).astype(np.float32)
    together = nearest_rows(among[:100], among, K)
    assert sum(taken) < 0.1 * 100 * len(among)
    alone = nearest_rows(among[41:42], among, K)
    for found, expected in zip(alone, together, strict=True):
        np.testing.assert_array_equal(found[0], expected[41])


def test_a_number_that_is_none_keeps_nobody_else_from_being_found(monkeypatch):
    monkeypatch.setattr(nearest, "FEW", 0)
    among = clustered(np.random.default_rng(0), 1000, 8).astype(np.float32)
    among[3, 2] = np.nan
    places, _ = nearest_rows(among[5:9], among, K)
    assert (places[:, 0] == [5, 6, 7, 8]).all() and not (places == 3).any()


def test_fewer_than_asked_for_are_all_there_is():
    among = np.arange(6, dtype=np.float32).reshape(3, 2)
    places, distances = nearest_rows(among, among, 9)
    assert places.shape == distances.shape == (3, 3) and (distances[:, 0] == 0).all()
    assert nearest_rows(among[:0], among, 2)[0].shape == (0, 2)
