"""How long the cells that are left will take, from those of their kind that have ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

KINDS = (("stage", "task", "data", "arm"), ("stage", "task", "data"), ("stage", "kind"))
"""Which cells are of a kind: alike in these, the finest first of which one has ended."""


def minutes_left(
    done: Sequence[tuple[Mapping[str, Any], float]], left: Sequence[Mapping[str, Any]], workers: int
) -> tuple[float, int]:
    """Minutes of the cells ``left``, and how many of them nothing can be said of.

    Args:
        done: ``about`` and seconds of each cell that has ended.
        left: ``about`` of each that has not.
        workers: So many run at the same time; their speed is taken to be as it was.
    """
    seconds, unknown = 0.0, 0
    measured: dict[tuple, list[float]] = {}
    for about, taken in done:
        for kind in KINDS:
            measured.setdefault(_key(about, kind), []).append(taken)
    for about in left:
        found = next((measured[_key(about, kind)] for kind in KINDS if _key(about, kind) in measured), None)
        if found is None:
            unknown += 1
        else:
            seconds += mean(found)
    return seconds / 60 / workers, unknown


def told(done: int, left: int, minutes: float, unknown: int) -> str:
    """The last lines of --dry-run."""
    if not left:
        return "nothing is left to do; the same command makes the tables and the report again"
    if unknown == left:
        return "how long: not known before a cell of each kind has ended; ask again then"
    rest = f"; of {unknown} others nothing of their kind has ended" if unknown else ""
    return f"about {minutes:.0f} minutes for {left - unknown} cells, from {done} that have ended{rest}"


def _key(about: Mapping[str, Any], kind: tuple[str, ...]) -> tuple:
    return (kind, *(about.get(name) for name in kind))
