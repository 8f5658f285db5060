"""From rows (a scan, a fold, a seed) to people: what is repeated on one person is one piece of evidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def person_means(values: np.ndarray, people: Sequence[object] | np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each person's rows.

    Args:
        values: ``(rows,)`` or ``(rows, columns)``. A row with a value that is not finite is left out.
        people: Whose each row is; None: every row is a person.

    Returns:
        Names of the people, sorted, and their means ``(people,)`` or ``(people, columns)``.
    """
    values = np.asarray(values, float)
    names = np.arange(len(values)) if people is None else np.asarray(people)
    if len(names) != len(values):
        raise ValueError(f"{len(values)} values of {len(names)} people: one name a row is needed")
    good = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    found, place = np.unique(names[good], return_inverse=True)
    sums = np.zeros((len(found), *values.shape[1:]))
    np.add.at(sums, place, values[good])
    counts = np.bincount(place, minlength=len(found)).reshape(-1, *[1] * (values.ndim - 1))
    return found, sums / counts


def paired_people(
    a: np.ndarray, people_a: Sequence[object] | np.ndarray, b: np.ndarray, people_b: Sequence[object] | np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """People measured under both arms: their names, and each arm's mean ``(people,)`` in that order."""
    names_a, means_a = person_means(a, people_a)
    names_b, means_b = person_means(b, people_b)
    both, at_a, at_b = np.intersect1d(names_a, names_b, return_indices=True)
    return both, means_a[at_a], means_b[at_b]
