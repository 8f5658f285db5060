"""Colours that a colour-blind reader can tell apart, bound to what they stand for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

# Okabe and Ito (2008) without black, in an order whose first ones differ most; then Paul Tol's "muted" set
CATEGORIES = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#F0E442",
    "#332288",
    "#882255",
    "#999933",
    "#44AA99",
    "#AA4499",
    "#117733",
    "#DDCC77",
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
    names = as_categories(values)
    known = sorted(set(names) - {UNKNOWN})
    colors = {name: CATEGORIES[i % len(CATEGORIES)] for i, name in enumerate(known)}
    return {**colors, **({UNKNOWN: UNKNOWN_COLOR} if UNKNOWN in set(names) else {})}


def as_categories(values: Iterable[Any]) -> list[str]:
    """Each value as the name of its category; missing and empty ones are ``"unknown"``."""
    return [UNKNOWN if pd.isna(v) or str(v) == "" else str(v) for v in values]


def label_colors(n: int, source: str) -> list[list[int]]:
    """``n`` RGB colours (0–255) for the structures of a ``source``: ``"truth"`` blues, ``"prediction"`` oranges,
    ``"other"`` (a second prediction beside it) greens."""
    (low, high), steps = _LABEL_ENDS[source], max(n - 1, 1)
    return [[round(a + (b - a) * i / steps) for a, b in zip(low, high, strict=True)] for i in range(n)]
