"""Colours that a colour-blind reader can tell apart, bound to what they stand for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

# Okabe and Ito (2008) without black, in an order whose first ones differ most; then Paul Tol's "muted" set
CATEGORIES = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#332288",
    "#882255",
    "#999933",
    "#44AA99",
    "#AA4499",
    "#117733",
    "#DDCC77",
    "#F0E442",  # last: a line of it can hardly be seen on white
)
UNKNOWN, UNKNOWN_COLOR = "unknown", "#9AA0A6"

# two ends per source: the hue says whose labels they are, the lightness which structure
_LABEL_ENDS = {
    "truth": ((86, 180, 233), (0, 96, 190)),
    "prediction": ((240, 180, 40), (213, 70, 0)),
    "other": ((190, 225, 130), (70, 215, 125)),
}


def category_colors(values: Iterable[Any]) -> dict[str, str]:
    """Category → colour, by the sorted categories of the whole cohort and never by the order of appearance.

    Args:
        values: The column over the whole cohort; missing values become the category ``"unknown"``, always grey.

    Returns:
        Categories as strings in sorted order, ``"unknown"`` last. Beyond 14 categories colours repeat.
    """
    names = coded(values)[1]
    colors = {name: CATEGORIES[i % len(CATEGORIES)] for i, name in enumerate(n for n in names if n != UNKNOWN)}
    return {**colors, **({UNKNOWN: UNKNOWN_COLOR} if UNKNOWN in names else {})}


def as_categories(values: Iterable[Any]) -> list[str]:
    """Each value as the name of its category; missing and empty ones are ``"unknown"``."""
    codes, names = coded(values)
    return np.array(names, object)[codes].tolist() if names else []


def coded(values: Iterable[Any]) -> tuple[np.ndarray, list[str]]:
    """The categories' names, sorted, ``"unknown"`` last, and for each value the position of its own among them. Of a
    column of one type the different values alone are turned into names: among a million that is a second."""
    if isinstance(values, pd.Series) and values.dtype != object:
        places, found = pd.factorize(values)  # -1 where a value is missing
        own = [*map(_name, found.tolist() if isinstance(found, np.ndarray) else found), UNKNOWN]
        missing = bool((places < 0).any())
    else:  # 1 and True are equal, and have other names
        own = [_name(value) for value in values]
        places, missing = np.arange(len(own)), True
    there = set(own if missing else own[:-1])
    names = sorted(there - {UNKNOWN}) + [UNKNOWN] * (UNKNOWN in there)
    at = {name: k for k, name in enumerate(names)}
    return np.array([at.get(name, -1) for name in own], np.int64)[places], names


def _name(value: Any) -> str:
    return UNKNOWN if pd.isna(value) or str(value) == "" else str(value)


def label_colors(n: int, source: str) -> list[list[int]]:
    """``n`` RGB colours (0–255) for the structures of a ``source``: ``"truth"`` blues, ``"prediction"`` oranges,
    ``"other"`` (a second prediction beside it) greens."""
    (low, high), steps = _LABEL_ENDS[source], max(n - 1, 1)
    return [[round(a + (b - a) * i / steps) for a, b in zip(low, high, strict=True)] for i in range(n)]
