"""What is computed of a table that the sessions share: once for all of them."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import TypeVar

import pandas as pd

Made = TypeVar("Made")
KEPT = 4  # tables of which it is remembered


def once_a_table(compute: Callable[[pd.DataFrame], Made]) -> Callable[[pd.DataFrame], Made]:
    """``compute``, remembered for the last few tables. A table is known as the object that it is: neither it nor what
    is made of it may be changed in place. Of a cohort of a million people each of these takes seconds to minutes."""
    kept: dict[int, tuple[pd.DataFrame, Made]] = {}  # with the table itself, so that no other gets its number
    lock = threading.Lock()

    @functools.wraps(compute)
    def remembered(table: pd.DataFrame) -> Made:
        with lock:
            if id(table) not in kept:
                made = compute(table)
                while len(kept) >= KEPT:
                    del kept[next(iter(kept))]
                kept[id(table)] = (table, made)
            return kept[id(table)][1]

    return remembered
