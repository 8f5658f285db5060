"""How far repeated measurements of the same people agree: intraclass correlations, shares of variance, and whether a
person's scans are more alike than those of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy

REST = "rest"


@dataclass(frozen=True)
class ICC:
    """Intraclass correlations of single measurements, ``(columns,)`` each; NaN where nothing varies.

    ``agreement`` is ICC(2,1) = ICC(A,1): conditions are a sample of those there could be, and a shift between them
    counts against it. ``consistency`` is ICC(3,1) = ICC(C,1): these conditions alone, shifts between them forgiven.
    """

    agreement: np.ndarray
    agreement_low: np.ndarray
    agreement_high: np.ndarray
    consistency: np.ndarray
    consistency_low: np.ndarray
    consistency_high: np.ndarray


def icc(values: np.ndarray, *, level: float = 0.95) -> ICC:
    """ICC(2,1) and ICC(3,1) (Shrout & Fleiss 1979, Psychol. Bull. 86:420) with their F intervals (McGraw & Wong 1996,
    Psychol. Methods 1:30, table 7). The one of ICC(2,1) is approximate: where conditions do shift and are few (four), a
    95 % interval holds the truth about nine times of ten.

    Args:
        values: ``(people, conditions)`` or ``(people, conditions, columns)``, complete: one number a person and
            condition.

    Raises:
        ValueError: fewer than two people or conditions, or a value that is not finite.
    """
    x = np.asarray(values, float)
    x = x[..., None] if x.ndim == 2 else x
    n, k, _ = x.shape
    if n < 2 or k < 2 or not np.isfinite(x).all():
        raise ValueError(f"{n} people under {k} conditions: two of each, and all values, are needed")
    centre, people, conditions = x.mean((0, 1)), x.mean(1), x.mean(0)
    rows = k * ((people - centre) ** 2).sum(0) / (n - 1)
    columns = n * ((conditions - centre) ** 2).sum(0) / (k - 1)
    rest = ((x - people[:, None] - conditions[None] + centre) ** 2).sum((0, 1)) / ((n - 1) * (k - 1))
    # what is left of sums of equal numbers is no variance
    tiny = 1e-12 * (x**2).mean((0, 1))
    rows, columns, rest = (np.where(part <= tiny, 0.0, part) for part in (rows, columns, rest))
    df = (n - 1) * (k - 1)
    tail = (1 + level) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        consistency = (rows - rest) / (rows + (k - 1) * rest)
        ratio = rows / rest
        low, high = ratio / scipy.stats.f.ppf(tail, n - 1, df), ratio * scipy.stats.f.ppf(tail, df, n - 1)
        consistency_low = np.where(rest > 0, (low - 1) / (low + k - 1), consistency)
        consistency_high = np.where(rest > 0, (high - 1) / (high + k - 1), consistency)
        agreement = (rows - rest) / (rows + (k - 1) * rest + k * (columns - rest) / n)
        a, b = (k * agreement / (n * (1 - agreement)), 1 + k * agreement * (n - 1) / (n * (1 - agreement)))
        v = (a * columns + b * rest) ** 2 / ((a * columns) ** 2 / (k - 1) + (b * rest) ** 2 / df)
        known = np.isfinite(v) & (v > 0)
        v = np.where(known, v, 1.0)
        spread = k * columns + (k * n - k - n) * rest
        f_low, f_high = scipy.stats.f.ppf(tail, n - 1, v), scipy.stats.f.ppf(tail, v, n - 1)
        agreement_low = n * (rows - f_low * rest) / (f_low * spread + n * rows)
        agreement_high = n * (f_high * rows - rest) / (spread + n * f_high * rows)
    return ICC(
        agreement,
        np.where(known, agreement_low, agreement),
        np.where(known, agreement_high, agreement),
        consistency,
        consistency_low,
        consistency_high,
    )


def variance_parts(values: np.ndarray, factors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Variance that belongs to each factor and to the rest, ``(columns,)`` each; an estimate below 0 stays below it.

    Every factor is random and crossed or nested as the data have it, balanced or not: sums of squares by factor are
    set equal to what they are expected to be (MINQUE(0), Rao 1971; where the design is balanced it is the analysis of
    variance).

    Args:
        values: ``(rows,)`` or ``(rows, columns)``, finite.
        factors: Name → level of each row.

    Raises:
        ValueError: two factors (or one and the rest) cannot be told apart in these rows; it names them.
    """
    y = np.asarray(values, float)
    y = y[:, None] if y.ndim == 1 else y
    y = y - y.mean(0)
    n = len(y)
    codes = {name: np.unique(np.asarray(levels), return_inverse=True)[1] for name, levels in factors.items()}
    codes[REST] = np.arange(n)
    names = list(codes)
    squares = np.stack([_sums(codes[name], y).__pow__(2).sum(0) for name in names])
    expected = np.array([[_shared(codes[a], codes[b], n) for b in names] for a in names])
    scale = np.sqrt(np.diag(expected))
    if (scale < 1e-9).any():
        flat = names[int(scale.argmin())]
        raise ValueError(f"{flat} is the same in all rows")
    alike = expected / scale / scale[:, None]
    for i, a in enumerate(names):
        for j, b in enumerate(names[:i]):
            if alike[i, j] > 1 - 1e-9:
                raise ValueError(f"{b} and {a} go together in these rows: they cannot be told apart")
    if np.linalg.cond(alike) > 1e9:
        raise ValueError(f"{', '.join(names[:-1])} cannot be told apart in these rows")
    found = np.linalg.solve(expected, squares)
    return dict(zip(names, found, strict=True))


def shares(parts: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Share of the whole variance, summed over columns, of each part; what is below 0 counts as 0.

    Over the columns of an embedding the person's share is the I2C2 (Shou et al. 2013, Cogn. Affect. Behav. Neurosci.
    13:714) where conditions are left out of the model.
    """
    whole = {name: max(float(np.sum(part)), 0.0) for name, part in parts.items()}
    total = sum(whole.values())
    return {name: one / total if total else np.nan for name, one in whole.items()}


def _sums(codes: np.ndarray, y: np.ndarray) -> np.ndarray:
    out = np.zeros((codes.max() + 1, y.shape[1]))
    np.add.at(out, codes, y)
    return out


def _shared(a: np.ndarray, b: np.ndarray, n: int) -> float:
    """Squared Frobenius norm of Zₐ' (I − 11'/n) Z_b, from the counts of the pairs of levels that there are."""
    pairs, counts = np.unique(np.stack([a, b]), axis=1, return_counts=True)
    na, nb = np.bincount(a), np.bincount(b)
    product = float((na**2).sum()) * float((nb**2).sum()) / n**2
    return float((counts**2).sum()) - 2 / n * float((counts * na[pairs[0]] * nb[pairs[1]]).sum()) + product


def discriminability(distances: np.ndarray, people: np.ndarray) -> np.ndarray:
    """How often another person's scan is farther from a scan than the same person's other scan is; ties half.

    ``(scans,)``: over the person's other scans and everybody else's scans (Bridgeford et al. 2021, PLoS Comput. Biol.
    17:e1009279). 0.5 is chance, 1 is every time. NaN for a scan without a second one of the person.

    Args:
        distances: ``(scans, scans)``, symmetric.
        people: Whose each scan is.
    """
    people = np.asarray(people)
    out = np.full(len(people), np.nan)
    for i, row in enumerate(distances):
        mine = people == people[i]
        others = np.sort(row[~mine])
        mine[i] = False
        if mine.any() and len(others):
            below = np.searchsorted(others, row[mine], "left") + np.searchsorted(others, row[mine], "right")
            out[i] = 1 - (below / 2).mean() / len(others)
    return out


def identified(distances: np.ndarray, people: np.ndarray, conditions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fingerprinting (Finn et al. 2015, Nat. Neurosci. 18:1664): is the nearest scan of another condition the person's?

    Each scan is looked for among the scans of every other condition under which its person was scanned too; ties that
    a stranger has part in count as their share.

    Returns:
        ``(scans,)`` share of the other conditions in which it was the person, and what guessing gives (the share of
        scans there that are the person's); NaN for a scan whose person has no scan under another condition.
    """
    people, conditions = np.asarray(people), np.asarray(conditions)
    hit, chance = np.full(len(people), np.nan), np.full(len(people), np.nan)
    levels = {level: np.flatnonzero(conditions == level) for level in np.unique(conditions)}
    for i in range(len(people)):
        found = []
        for level, there in levels.items():
            own = people[there] == people[i]
            if level == conditions[i] or not own.any() or own.all():
                continue
            nearest = distances[i, there] <= distances[i, there].min() + 1e-12
            found.append((own[nearest].mean(), own.mean()))
        if found:
            hit[i], chance[i] = np.mean(found, axis=0)
    return hit, chance
