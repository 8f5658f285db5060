"""Another session of the same person as the second view: who has one, and whether the two lie in one space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from workbench.engine.bend import APART
from workbench.engine.streams import Purpose, stream
from workbench.errors import WorkbenchError
from workbench.prepare.store import Store

OVERLAP = 0.8  # of two brain boxes, intersection over union: a registered brain has shrunk, but not moved


@dataclass(frozen=True)
class Sessions:
    """Scans by their position in the store."""

    others: dict[int, tuple[int, ...]]
    """Scan → the same person's scans of other sessions."""
    shifts: dict[tuple[int, int], tuple[float, float, float]]
    """Two scans in one space → what takes voxels of the second to voxels of the first."""
    told: str

    def second(self, seed: int, place: int, scan: int) -> int:
        """The scan of the second view at a place of the run: the scan itself of somebody with one session."""
        others = self.others.get(scan)
        return others[int(stream(seed, Purpose.SESSION, place).integers(len(others)))] if others else scan

    def shift(self, first: int, second: int) -> tuple[float, float, float]:
        """From the second scan's voxels to the first's; ``APART`` where nobody knows."""
        return (0.0, 0.0, 0.0) if first == second else self.shifts.get((first, second), (APART, APART, APART))


def find_sessions(store: Store, scans: np.ndarray, setting: Literal["no", "cls", "registered"]) -> Sessions | None:
    """Who of the ``scans`` (positions) has several sessions; None where the setting is off.

    Raises:
        WorkbenchError: nobody has, or (registered) no two sessions of anybody lie in one space.
    """
    if setting == "no":
        return None
    index = store.columns("participant", "session", "source_shape", "source_affine")
    mine = index.iloc[scans]
    session = mine["session"].fillna("").astype(str)
    others: dict[int, tuple[int, ...]] = {}
    for _, some in session.groupby(mine["participant"], sort=True):
        for position, name in some.items():
            if found := tuple(int(i) for i in some.index[some != name]):
                others[int(position)] = found
    people = mine["participant"].nunique()
    several = mine.loc[list(others), "participant"].nunique()
    if not others:
        raise WorkbenchError(
            f"{store.path}: nobody who is trained on has a second session",
            cause=f"{people} people, {len(mine)} scans; views.other_session is {setting}",
            remedy="leave views.other_session at no",
        )
    told = (
        f"the second view is another session of the person: {several} of {people} people have one "
        f"({len(others)} of {len(mine)} scans); the others give both views themselves"
    )
    if setting == "cls":
        return Sessions(others, {}, f"{told}. Tokens are not aligned between sessions")
    shifts = {}
    shapes, affines = index["source_shape"], index["source_affine"]
    for first, found in others.items():
        for second in found:
            same = list(shapes[first]) == list(shapes[second]) and np.allclose(
                np.array(affines[first], float), np.array(affines[second], float), atol=1e-3
            )
            if same and overlap(store, first, second) >= OVERLAP:
                shifts[first, second] = between(store, first, second)
    pairs = sum(map(len, others.values()))
    if not shifts:
        raise WorkbenchError(
            f"{store.path}: no two sessions of anybody lie in one space",
            cause=f"of {pairs // 2} pairs none has the same grid in its files and brain boxes that overlap by "
            f"{OVERLAP:.0%}",
            remedy="register each person's sessions to one grid first, or take --views.other_session cls",
        )
    return Sessions(
        others,
        shifts,
        f"{told}. {len(shifts) // 2} of {pairs // 2} pairs have the same grid and brain box, and their tokens are "
        "aligned too",
    )


def between(store: Store, first: int, second: int) -> tuple[float, float, float]:
    """What is added to voxels of the second scan's box to have the first's, by their millimetres."""
    x, y, z = (store.grid(second).affine[:3, 3] - store.grid(first).affine[:3, 3]) / store.spacing
    return float(x), float(y), float(z)


def overlap(store: Store, first: int, second: int) -> float:
    """Intersection over union of two brain boxes, in the world."""
    corners = []
    for scan in (first, second):
        low = store.grid(scan).affine[:3, 3] / store.spacing
        corners.append((low, low + store.shape(scan)))
    (a, b), (c, d) = corners
    shared = float(np.clip(np.minimum(b, d) - np.maximum(a, c), 0, None).prod())
    return shared / float((b - a).prod() + (d - c).prod() - shared)
