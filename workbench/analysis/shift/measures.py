"""How far sites are apart: what a classifier can tell, distances between distributions, and how sites mix."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.analysis.shift.spaces import MANY, Fit, Fold, Units
from workbench.stats import bootstrap_interval, holm

COMPONENTS = 50  # principal components that the site is predicted from, fitted on the training people
DRAWS = 2000
TOGETHER, BATCH = 500, 20  # people, from where on so many permutations are tried at once


def predict_site(units: Units, fit: Fit, folds: list[Fold]) -> np.ndarray:
    """The site that a logistic regression names for each held-out person; everything fitted on the others."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    named = np.empty(len(units.vectors), dtype=object)
    for train, test in folds:
        apply = fit(train)
        components = min(COMPONENTS, len(train) - 1, units.vectors.shape[1])
        model = make_pipeline(
            StandardScaler(),
            PCA(components, svd_solver="full" if len(train) <= MANY else "covariance_eigh"),
            StandardScaler(),
            LogisticRegression(C=0.1, max_iter=2000, class_weight="balanced"),
        )
        model.fit(apply(units.vectors, train), units.sites[train])
        named[test] = model.predict(apply(units.vectors, test))
    return named.astype(str)


def balanced_accuracy(right: np.ndarray, sites: np.ndarray, *, seed: int) -> tuple[float, float, float]:
    """Mean over sites of the share that was right, and its 95 % interval: people resampled within each site."""
    rng = np.random.default_rng(seed)
    groups = [right[sites == s].astype(float) for s in np.unique(sites)]
    # how many of those drawn again were right; drawing 100,000 people 2,000 times took gigabytes
    draws = np.mean([rng.binomial(len(g), g.mean(), DRAWS) / len(g) for g in groups], axis=0)
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(np.mean([g.mean() for g in groups])), float(low), float(high)


@dataclass(frozen=True)
class Distances:
    """MMD² (Gretton 2012, unbiased, RBF kernel of the median distance) and energy distance (Székely & Rizzo 2013) of
    each pair of sites, and their mean over pairs, each with a permutation p: people change places between sites."""

    overall: dict[str, tuple[float, float]]  # measure -> value, p
    pairs: pd.DataFrame


def distances(vectors: np.ndarray, sites: np.ndarray, *, permutations: int, rng: np.random.Generator) -> Distances:
    apart = pairwise(vectors)
    levels = np.unique(sites)
    values, ps = _tested(apart, sites, levels, permutations, rng)
    overall = {name: (float(values[i]), float(ps[i])) for i, name in enumerate(("mmd2", "energy"))}
    rows = []
    for a, b in itertools.combinations(levels, 2):
        both = np.flatnonzero((sites == a) | (sites == b))
        (mmd, energy), (p_mmd, p_energy) = _tested(
            apart[np.ix_(both, both)], sites[both], np.array([a, b]), permutations, rng
        )
        rows.append(
            {
                "site_a": a,
                "site_b": b,
                "people_a": int((sites == a).sum()),
                "people_b": int((sites == b).sum()),
                "mmd2": mmd,
                "mmd2_p": p_mmd,
                "energy": energy,
                "energy_p": p_energy,
            }
        )
    pairs = pd.DataFrame(rows)
    for name in ("mmd2", "energy"):
        pairs[f"{name}_p_holm"] = holm(pairs[f"{name}_p"].to_numpy())
    return Distances(overall, pairs)


def pairwise(vectors: np.ndarray) -> np.ndarray:
    """Euclidean distances ``(n, n)`` float32."""
    from sklearn.metrics import pairwise_distances

    return pairwise_distances(vectors).astype(np.float32)


def _tested(
    apart: np.ndarray, sites: np.ndarray, levels: np.ndarray, permutations: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """MMD² and energy distance, mean over pairs of sites, and the p of each."""
    off = apart[~np.eye(len(apart), dtype=bool)]
    width = max(float(np.median(off)), 1e-12)
    kernel = np.exp(-0.5 * (apart / width) ** 2)
    np.fill_diagonal(kernel, 0)  # unbiased: nobody is compared with himself
    one_hot = (sites[:, None] == levels[None]).astype(np.float32)

    def values(rows: np.ndarray) -> np.ndarray:
        return np.array([_between(kernel, rows), -_between(apart, rows)])

    own = values(one_hot)
    above = np.zeros(2)
    at_once = 1 if len(sites) < TOGETHER else BATCH
    for start in range(0, permutations, at_once):
        drawn = [one_hot[rng.permutation(len(sites))] for _ in range(min(at_once, permutations - start))]
        if at_once == 1:
            above += values(drawn[0]) >= own
        else:
            rows = np.stack(drawn, axis=1)
            above[0] += (_between_each(kernel, rows) >= own[0]).sum()
            above[1] += (-_between_each(apart, rows) >= own[1]).sum()
    return own, (1 + above) / (1 + permutations)


def _between(matrix: np.ndarray, one_hot: np.ndarray) -> float:
    """Mean over pairs of sites of within a + within b − 2 × between, from a symmetric matrix with zero diagonal."""
    return float(_of_sums(one_hot.T @ matrix @ one_hot, one_hot.sum(axis=0, dtype=np.float64)))


def _between_each(matrix: np.ndarray, one_hots: np.ndarray) -> np.ndarray:
    """``_between`` of several labellings ``(n, labellings, sites)``: the matrix is read once for all of them."""
    n, labellings, sites = one_hots.shape
    halves = (matrix @ one_hots.reshape(n, -1)).reshape(n, labellings, sites)
    sums = np.matmul(one_hots.transpose(1, 2, 0), halves.transpose(1, 0, 2))
    return _of_sums(sums, one_hots[:, 0].sum(axis=0, dtype=np.float64))


def _of_sums(sums: np.ndarray, n: np.ndarray) -> np.ndarray:
    """From the sums between sites of ``n`` people each, ``(…, sites, sites)``."""
    within = np.diagonal(sums, axis1=-2, axis2=-1) / np.maximum(n * (n - 1), 1)
    between = sums / np.outer(n, n)
    a, b = np.triu_indices(len(n), 1)
    return (within[..., a] + within[..., b] - 2 * between[..., a, b]).mean(axis=-1)


def energy_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Energy distance of two samples ``(n, D)``, unbiased: 2 E|X−Y| − E|X−X'| − E|Y−Y'|; may be slightly below 0."""
    one_hot = np.zeros((len(a) + len(b), 2), np.float32)
    one_hot[: len(a), 0] = one_hot[len(a) :, 1] = 1
    return -_between(pairwise(np.concatenate([a, b])), one_hot)


def mixing(vectors: np.ndarray, sites: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """For each person the share of the ``k`` nearest others that are of the same site, and what it would be if sites
    were mixed: the share of that site among the others."""
    from sklearn.neighbors import NearestNeighbors

    near = NearestNeighbors(n_neighbors=min(k, len(vectors) - 1)).fit(vectors).kneighbors(return_distance=False)
    same = (sites[near] == sites[:, None]).mean(axis=1)
    expected = np.array([((sites == s).sum() - 1) / (len(sites) - 1) for s in sites])
    return same, expected


def mixing_by_site(same: np.ndarray, expected: np.ndarray, sites: np.ndarray, seed: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for site in np.unique(sites):
        mine = sites == site
        low, high = bootstrap_interval(same[mine], seed=seed).ends
        rows.append(
            {
                "site": site,
                "people": int(mine.sum()),
                "same_site": float(same[mine].mean()),
                "low": low,
                "high": high,
                "if_mixed": float(expected[mine].mean()),
            }
        )
    return rows
