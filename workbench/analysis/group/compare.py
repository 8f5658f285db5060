"""Maps and shares of groups by person: means, differences, intervals, and where a difference is found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy

from workbench.analysis.config import GroupConfig
from workbench.analysis.group.frames import Frame
from workbench.stats import bootstrap_interval, bootstrap_map, holm, sign_flip_map, smallest_p, two_group_map
from workbench.stats.maps import MapTest

LEAST_COMMON = 0.5  # share of all people whose brain a voxel of the frame must be in
NEAR_MIDDLE = 0.5  # voxels from the box's middle that are neither left nor right


@dataclass(frozen=True)
class Units:
    """What is measured of each person in a group (see ``membership.units_of``), for one kind of weights."""

    weights: str
    names: np.ndarray  # of the units, (n,)
    people: np.ndarray
    groups: np.ndarray
    maps: np.ndarray
    """``(n, V)`` float32: the attention in the voxels of the frame that are brain."""
    within: np.ndarray | None = None
    """Level of each unit, where only those of one level are compared."""

    def of(self, group: str) -> np.ndarray:
        return np.flatnonzero(self.groups == group)


@dataclass(frozen=True)
class Pair:
    """Two groups and how they may be compared."""

    a: str
    b: str
    rows: np.ndarray  # of Units
    paired: bool
    """Everybody is in both: differences within people."""
    why: str = ""
    """Why nothing can be said; empty where it can."""
    notes: tuple[str, ...] = ()


def make_pair(units: Units, a: str, b: str, config: GroupConfig) -> Pair:
    """Who is compared with whom: people of both groups alone are compared with themselves; where some are in both, they
    are left out."""
    in_a, in_b = (set(units.people[units.of(g)]) for g in (a, b))
    both, notes = in_a & in_b, []
    rows = np.concatenate([units.of(a), units.of(b)])
    if both and both == in_a == in_b:
        why = "" if len(both) >= config.smallest_group else f"{len(both)} people are in both"
        if not why and 2.0 ** (1 - len(both)) > config.level:
            why = f"{len(both)} people cannot give a p below {config.level:g}"
        return Pair(a, b, rows, True, why, (f"{a} and {b} are the same {len(both)} people: compared person by person",))
    if both:
        rows = rows[~np.isin(units.people[rows], list(both))]
        notes.append(f"{a} and {b}: {len(both)} people are in both groups and are left out of their difference")
    if units.within is not None:
        rows, lost = _levels_of_both(units, rows, a)
        if lost:
            notes.append(
                f"{a} and {b}: {lost} people are left out, since their {config.within} has one of the groups alone"
            )
    sizes = [int((units.groups[rows] == g).sum()) for g in (a, b)]
    why = ""
    if min(sizes) < config.smallest_group:
        why = f"{sizes[0]} and {sizes[1]} people, a group needs {config.smallest_group}"
    else:
        least = smallest_p(units.groups[rows] == a, None if units.within is None else units.within[rows])
        if least > config.level:
            why = f"so few people cannot give a p below {least:.2g}"
    return Pair(a, b, rows, False, why, tuple(notes))


def _levels_of_both(units: Units, rows: np.ndarray, a: str) -> tuple[np.ndarray, int]:
    assert units.within is not None
    level, first = units.within[rows], units.groups[rows] == a
    usable = [k for k in np.unique(level) if k and len(set(first[level == k])) == 2]
    kept = np.isin(level, usable)
    return rows[kept], int((~kept).sum())


def compare_maps(units: Units, pair: Pair, config: GroupConfig) -> tuple[MapTest, tuple[np.ndarray, np.ndarray], str]:
    """The test of a pair's maps, intervals of the difference, and what the test was."""
    maps, first = units.maps[pair.rows].astype(float), units.groups[pair.rows] == pair.a
    common: dict[str, Any] = {"seed": config.seed, "draws": config.permutations}
    if pair.paired:
        order = np.argsort(units.people[pair.rows], kind="stable")
        d = maps[order[first[order]]] - maps[order[~first[order]]]
        return (
            sign_flip_map(d, **common),
            bootstrap_map(d, seed=config.seed, draws=config.draws),
            "signs turned by person",
        )
    within = None if units.within is None else units.within[pair.rows]
    found = two_group_map(maps, first, within=within, **common)
    if within is None:
        weights, cells = np.where(first, 1 / first.sum(), -1 / (~first).sum()), first.astype(int).astype(str)
        told = "groups exchanged by person"
    else:
        means = {k: first[within == k].mean() for k in np.unique(within)}
        apart = first - np.array([means[k] for k in within])
        weights, cells = apart / (apart**2).sum(), np.char.add(within.astype(str), first.astype(int).astype(str))
        told = f"groups exchanged by person within {config.within}"
    return found, bootstrap_map(maps, weights, groups=cells, seed=config.seed, draws=config.draws), told


def found_places(
    test: MapTest, ends: tuple[np.ndarray, np.ndarray], inside: np.ndarray, frame: Frame, level: float
) -> pd.DataFrame:
    """A row a place that is found (voxels that touch, one sign), the largest |t| first: where its peak is in mm of the
    frame, on which side, how large, and the difference there. The peak is where it is largest: it will be smaller in
    other people."""
    rows: list[dict[str, Any]] = []
    peak_of = {
        name: _filled(v, inside)
        for name, v in (
            ("t", test.t),
            ("p", test.p_family),
            ("difference", test.mean),
            ("low", ends[0]),
            ("high", ends[1]),
        )
    }
    octants = frame.octants()
    for sign in (1, -1):
        here = (peak_of["p"] <= level) & (np.sign(peak_of["difference"]) == sign)
        parts, n = scipy.ndimage.label(here, structure=np.ones((3, 3, 3)))
        for part in range(1, n + 1):
            voxels = np.argwhere(parts == part)
            at = tuple(voxels[np.abs(peak_of["t"][parts == part]).argmax()])
            x, y, z = frame.grid.to_world(np.array(at))
            off = (x - frame.middle[0]) / frame.grid.spacing[0]
            rows.append(
                {
                    "x": float(x),
                    "y": float(y),
                    "z": float(z),
                    "side": "middle" if abs(off) <= NEAR_MIDDLE else "right" if off > 0 else "left",
                    "octant": next(name for name, mask in octants.items() if mask[at]),
                    "ml": len(voxels) * frame.grid.voxel_ml,
                    **{name: float(values[at]) for name, values in peak_of.items()},
                }
            )
    columns = ["x", "y", "z", "side", "octant", "ml", *peak_of]
    return pd.DataFrame(rows, columns=columns).sort_values("t", key=np.abs, ascending=False, ignore_index=True)


def _filled(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    out = np.full(inside.shape, np.nan)
    out[inside] = values
    return out


def octant_shares(units: Units, inside: np.ndarray, frame: Frame) -> pd.DataFrame:
    """Share of each unit's attention in the brain that each octant of the box holds, and that over the octant's share
    of the brain: columns unit, structure, share, times."""
    total = units.maps.sum(axis=1, dtype=float)
    rows = []
    for name, mask in frame.octants().items():
        part = mask[inside]
        share = units.maps[:, part].sum(axis=1, dtype=float) / total
        rows.append(
            pd.DataFrame({"unit": units.names, "structure": name, "share": share, "times": share / part.mean()})
        )
    return pd.concat(rows, ignore_index=True)


def group_shares(table: pd.DataFrame, config: GroupConfig) -> list[dict[str, Any]]:
    """A row a group, structure and kind of weights: mean share over people with its interval, in % of the attention in
    the brain, and ``times`` likewise.

    Args:
        table: A row a unit, structure and weights: unit, participant, group, kind, structure, weights, share, times.
    """
    rows = []
    for (kind, structure, weights, group), some in table.groupby(["kind", "structure", "weights", "group"], sort=False):
        row: dict[str, Any] = {"kind": kind, "structure": structure, "weights": weights, "group": group, "other": ""}
        for name, scale in (("share", 100.0), ("times", 1.0)):
            found = bootstrap_interval(scale * some[name].to_numpy(), some["unit"].to_numpy(), seed=config.seed)
            ends = found.ends if found.n >= config.smallest_group else (np.nan, np.nan)
            row |= {name: found.estimate, f"{name}_low": ends[0], f"{name}_high": ends[1], "people": found.n}
        rows.append(row)
    return rows


def share_differences(table: pd.DataFrame, pair: Pair, units: Units, config: GroupConfig) -> list[dict[str, Any]]:
    """A row a structure and kind of weights: difference of two groups' mean shares, in points of %, with interval, p by
    permutation, and that p corrected (Holm) over the structures of its kind."""
    if pair.why:
        return []
    rows: list[dict[str, Any]] = []
    chosen = {unit: i for i, unit in zip(pair.rows, units.names[pair.rows], strict=True)}
    for (kind, weights), some in table[table["unit"].isin(chosen)].groupby(["kind", "weights"], sort=False):
        wide = some.pivot_table(index="unit", columns="structure", values="share", sort=False)
        mine: list[dict[str, Any]] = []
        for structure in wide:
            known = wide[structure].dropna()
            at = np.array([chosen[unit] for unit in known.index])
            if pair.paired:
                at, known = _both_of(units, at, known)
            maps = np.full((len(units.names), 1), np.nan, np.float32)
            maps[at, 0] = 100 * known.to_numpy()
            one = Units(weights, units.names, units.people, units.groups, maps, units.within)
            if units.within is not None and not pair.paired:
                at, _ = _levels_of_both(units, at, pair.a)
            sub = Pair(pair.a, pair.b, at, pair.paired)
            sizes = [int((units.groups[at] == g).sum()) for g in (pair.a, pair.b)]
            if min(sizes) < config.smallest_group:
                continue
            test, ends, _ = compare_maps(one, sub, config)
            mine.append(
                {
                    "kind": kind,
                    "structure": structure,
                    "weights": weights,
                    "group": pair.a,
                    "other": pair.b,
                    "share": float(test.mean[0]),
                    "share_low": float(ends[0][0]),
                    "share_high": float(ends[1][0]),
                    "people": sizes[0],
                    "people_other": sizes[1],
                    "p": float(test.p[0]),
                }
            )
        for row, p in zip(mine, holm([row["p"] for row in mine]), strict=True):
            rows.append(row | {"p_holm": float(p)})
    return rows


def _both_of(units: Units, at: np.ndarray, known: pd.Series) -> tuple[np.ndarray, pd.Series]:
    twice = pd.Series(units.people[at]).duplicated(keep=False).to_numpy()
    return at[twice], known[twice]
