"""How long the cells that are left will take, from those of their kind that have ended."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

KINDS = (("stage", "task", "data", "arm"), ("stage", "task", "data"), ("stage", "kind"))
"""Which cells are of a kind: alike in these, the finest first of which one has ended."""


class Pace:
    """Seconds that cells took, by their kind."""

    def __init__(self, done: Sequence[tuple[Mapping[str, Any], float]] = ()) -> None:
        self._measured: dict[tuple, list[float]] = {}
        for about, taken in done:
            self.add(about, taken)

    def add(self, about: Mapping[str, Any], seconds: float) -> None:
        for kind in KINDS:
            self._measured.setdefault(_key(about, kind), []).append(seconds)

    def of(self, about: Mapping[str, Any]) -> float | None:
        """About how long such a cell takes; None where nothing of its kind has ended."""
        found = next((self._measured[_key(about, kind)] for kind in KINDS if _key(about, kind) in self._measured), None)
        return None if found is None else mean(found)


class Budget:
    """Seconds that a study may still take, and which cell fits into them."""

    def __init__(self, minutes: float, pace: Pace, *, spent: float = 0.0) -> None:
        self.minutes, self.pace = minutes, pace
        self._until = time.monotonic() + 60 * minutes - spent

    @property
    def over(self) -> bool:
        return time.monotonic() >= self._until

    def fits(self, about: Mapping[str, Any]) -> bool:
        """Whether such a cell would end in time, as far as is known: of an unknown kind one is tried."""
        needed = self.pace.of(about)
        return not self.over and (needed is None or time.monotonic() + needed <= self._until)


def minutes_left(
    done: Sequence[tuple[Mapping[str, Any], float]], left: Sequence[Mapping[str, Any]], workers: int
) -> tuple[float, int]:
    """Minutes of the cells ``left``, and how many of them nothing can be said of.

    Args:
        done: ``about`` and seconds of each cell that has ended.
        left: ``about`` of each that has not.
        workers: So many run at the same time; their speed is taken to be as it was.
    """
    seconds, unknown, pace = 0.0, 0, Pace(done)
    for about in left:
        if (needed := pace.of(about)) is None:
            unknown += 1
        else:
            seconds += needed
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
