"""Mean attention of groups in a common frame, and where two groups differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from workbench.analysis.config import GroupConfig
from workbench.analysis.group import compare, membership
from workbench.analysis.group.frames import Frame, box_frame, brain_corners, from_box, onto, template_frame
from workbench.analysis.group.maps import Maps, read_maps
from workbench.analysis.group.preflight import Preflight
from workbench.analysis.group.registration import brighter
from workbench.analysis.group.warp import Warp
from workbench.errors import WorkbenchError
from workbench.runs import Run, finished, start_run
from workbench.runs.parts import over_scans
from workbench.stats import holm
from workbench.stats.sentence import counted
from workbench.volumes import Volume, read_volume, write_volume


def run_group(config: GroupConfig, *, overwrite: bool = False) -> Run:
    """``volumes/brain.nii.gz`` (mean brain), ``volumes/common.nii.gz`` (share of people whose brain is there), each
    scan's map in ``volumes/scans``, the maps of ``maps`` in ``volumes/maps``, all in the frame; and the tables

    - ``groups``: by, group, people, scans;
    - ``maps``: by, group, other (empty: one group's mean), weights, what (mean, low, high, difference, t, p_family, q),
      file, people, people_other;
    - ``differences``: a row a pair and weights: whether it can be estimated and if not why, how many ml are found, the
      smallest corrected p, and that corrected over the pairs of a column (Holm);
    - ``places``: where: peak in mm of the frame, side, size, difference with its interval;
    - ``structures``: share of the attention by structure and by octant of the box, of groups and of pairs, with
      intervals; ``shares``: the same by scan;
    - ``confounds``: what else two groups differ in;
    - ``scans``: the way from the frame's mm to each scan's (16 numbers), files; ``notes``: who and what was left out.

    Weights are the run's own, those beside, and the difference of the two by person.
    """
    ready = Preflight(config)
    if not overwrite and (done := finished(config, ready.inputs)):
        return done
    with start_run(config, overwrite=overwrite, inputs=ready.inputs, **ready.facts) as run:
        notes = list(ready.notes)
        frame, template = _frame(ready, run, notes)
        facts = {"frame": ready.frame_words, "simulated": ready.store.simulated}
        warp = Warp(config, ready.store, ready.sources, frame, template, run.path, facts)
        if "scans" not in run.tables():  # a run that was stopped after them goes on from there
            over_scans(run, ready.scans, warp.scan, ["scans", "shares"], config, desc="to the common frame")
        done_scans = run.read_table("scans")
        if "set_aside" in run.tables():
            notes.append(f"{counted(len(run.read_table('set_aside')), 'scan')} set aside: see set_aside")
        inside = _mean_brain(ready, run, frame, done_scans, facts)
        _tables(ready, run, frame, inside, done_scans, facts, notes)
        run.note(participants={"test": sorted(ready.people_of(done_scans["scan_id"]))}, frame_mm=_corners(frame))
    return run


def plan_group(config: GroupConfig) -> str:
    """For --dry-run: who is in which group, what will be compared, in which frame."""
    ready = Preflight(config)
    index = ready.index
    lines = [
        f"{counted(len(ready.scans), 'map')} of {counted(index['participant'].nunique(), 'person', 'people')} "
        f"from {config.attend}",
        f"frame: {ready.frame_words}",
    ]
    lines.append("held against: " + (", ".join(s.name for s in ready.sources[1:]) or "nothing; give --against"))
    for name in config.by:
        sizes = ready.sizes(name)
        pairs, said = membership.pairs_of(sizes, config.smallest_group)
        lines.append(f"{name}: " + ", ".join(f"{g} (n = {n})" for g, n in sizes.items()))
        lines += [f"  {a} − {b}" for a, b in pairs] + [f"  {note}" for note in said]
        lines += [f"  {row['words']}" for a, b in pairs for row in membership.confounds(index, name, a, b)]
    return "\n".join([*lines, *ready.notes])


def _frame(ready: Preflight, run: Run, notes: list[str]) -> tuple[Frame, Volume | None]:
    """The frame, and the template where brains are registered to one."""
    config, store = ready.config, ready.store
    if config.template is not None:
        return template_frame(config.template, config.spacing)
    people_of = dict(zip(ready.index["scan_id"], ready.index["participant"].astype(str), strict=True))
    boxes = {}
    for scan in tqdm(ready.scans, desc="boxes", unit="scan"):
        try:
            boxes[scan] = brain_corners(store.read_brain(scan), store.grid(scan))
        except WorkbenchError as error:  # it is set aside later, by name
            notes.append(f"{scan}: {error.what}")
    if not boxes:
        raise WorkbenchError(f"{store.path}: no scan with a brain", remedy="look at the masks of its scans")
    sizes = pd.DataFrame({scan: high - low for scan, (low, high) in boxes.items()}).T
    mean = sizes.groupby([people_of[scan] for scan in sizes.index]).mean().mean()
    frame = box_frame(mean.to_numpy(), config.spacing)
    if config.frame == "box":
        return frame, None
    file = run.path / "volumes" / "template.nii.gz"
    if not file.is_file():  # a process that does a part of the scans finds it there
        total, weight = np.zeros(frame.grid.shape), np.zeros(frame.grid.shape)
        for scan, (low, high) in tqdm(boxes.items(), desc="template", unit="scan"):
            brain, there = store.read_brain(scan), from_box(frame, low, high)
            affine = store.grid(scan).affine
            total += onto(Volume(brighter(store.read(scan).astype(np.float32), brain), affine), frame, there)
            weight += onto(Volume(brain.astype(np.float32), affine), frame, there)
        brain = weight >= compare.LEAST_COMMON * len(boxes)
        write_volume(
            file, Volume(np.where(brain, total / np.maximum(weight, 1e-6), 0).astype(np.float32), frame.grid.affine)
        )
    return frame, read_volume(file)


def _mean_brain(ready: Preflight, run: Run, frame: Frame, scans: pd.DataFrame, facts: dict[str, Any]) -> np.ndarray:
    """Writes the mean brain, each person counting once, and the share of people whose brain a voxel is in; returns the
    voxels that count as brain."""
    person = dict(zip(ready.index["scan_id"], ready.index["participant"].astype(str), strict=True))
    each = scans["scan_id"].map(person).value_counts()
    total, weight = np.zeros(frame.grid.shape), np.zeros(frame.grid.shape)
    for row in tqdm(scans.itertuples(), total=len(scans), desc="mean brain", unit="scan"):
        there, affine = np.array(row.to_scan).reshape(4, 4), ready.store.grid(row.scan_id).affine
        share = 1 / each[person[row.scan_id]]
        brain = ready.store.read_brain(row.scan_id).astype(np.float32)
        total += share * onto(Volume(ready.store.read(row.scan_id).astype(np.float32), affine), frame, there)
        weight += share * onto(Volume(brain, affine), frame, there)
    common = weight / len(each)
    inside = common >= compare.LEAST_COMMON
    if not inside.any():
        raise WorkbenchError(
            f"{run.path}: brains do not lie over each other in the frame",
            cause="no voxel is brain in half of the people",
            remedy="use --frame box, or look at the scans' masks",
        )
    mean = np.where(inside, total / np.maximum(weight, 1e-6), 0).astype(np.float32)
    more = {"people": len(each), **facts}
    write_volume(
        run.path / "volumes" / "brain.nii.gz",
        Volume(mean, frame.grid.affine),
        sidecar={"unit": "SD of the prepared scans; 0 outside", **more},
    )
    write_volume(
        run.path / "volumes" / "common.nii.gz",
        Volume(common.astype(np.float32), frame.grid.affine),
        sidecar={"unit": "share of people whose brain is there", **more},
    )
    return inside


def _tables(
    ready: Preflight,
    run: Run,
    frame: Frame,
    inside: np.ndarray,
    scans: pd.DataFrame,
    facts: dict[str, Any],
    notes: list[str],
) -> None:
    """All that is said of groups and pairs."""
    config, writer = ready.config, Maps(run, frame, inside, facts)
    index = ready.index[ready.index["scan_id"].isin(scans["scan_id"])]
    labels = run.read_table("shares") if "shares" in run.tables() else pd.DataFrame()
    if not len(labels):
        notes.append("no scan has labels: shares are told of octants of the box alone")
    rows: dict[str, list[dict[str, Any]]] = {
        n: [] for n in ("groups", "differences", "places", "structures", "confounds")
    }
    every = np.stack([read_maps(run, scans[f"file_{i}"], inside) for i in range(len(ready.sources))])
    for name in config.by:
        members = membership.units_of(index, name)
        if unknown := index.loc[~index["scan_id"].isin(members["scan_id"]), "participant"].nunique():
            notes.append(f"{counted(unknown, 'person', 'people')} left out: {name} is not known")
        if config.groups:
            members = members[members["group"].isin(config.groups)]
        looks = _units(ready, members, index, scans, every)
        first = looks[0]
        sizes = {g: n for g, n in ready.sizes(name).items() if (first.groups == g).any()}
        for group in sizes:
            mine = members[members["group"] == group]
            rows["groups"].append({"by": name, "group": group, "people": len(first.of(group)), "scans": len(mine)})
            for look in looks:
                writer.group(name, look, group, config)
        table = _shares(looks, members, labels, inside, frame)
        rows["structures"] += [{"by": name, **row} for row in compare.group_shares(table, config)]
        pairs, said = membership.pairs_of(sizes, config.smallest_group)
        notes += [f"{name} {note}" for note in said]
        here: list[dict[str, Any]] = []
        for a, b in tqdm(pairs, desc=f"differences by {name}", unit="pair"):
            pair = compare.make_pair(first, a, b, config)
            notes += pair.notes
            known = [{"by": name, "group": a, "other": b, **row} for row in membership.confounds(index, name, a, b)]
            rows["confounds"] += [
                row | {"kind": "taken out", "words": f"{row['words']}; taken out (--within)"}
                if row["column"] == config.within
                else row
                for row in known
            ]
            rows["structures"] += [{"by": name, **row} for row in compare.share_differences(table, pair, first, config)]
            for look in looks:
                row, places = writer.pair(name, look, pair, config)
                here.append(row)
                rows["places"] += [{**{k: row[k] for k in ("by", "group", "other", "weights")}, **p} for p in places]
        for look in looks:  # several pairs of one column are several questions
            asked = [row for row in here if row["weights"] == look.weights]
            for row, p in zip(asked, holm([row["p_smallest"] for row in asked]), strict=True):
                row["p_over_pairs"] = float(p)
        rows["differences"] += here
    for name, some in rows.items():
        run.write_table(name, pd.DataFrame(some, columns=COLUMNS[name]))
    run.write_table("maps", pd.DataFrame(writer.rows))
    run.write_table("notes", pd.DataFrame({"note": list(dict.fromkeys(notes))}, dtype=object))


_PAIR = ["by", "group", "other", "weights"]
COLUMNS = {
    "groups": ["by", "group", "people", "scans"],
    "differences": [
        *_PAIR,
        "people",
        "people_other",
        "estimable",
        "why",
        "test",
        "found_ml",
        "brain_ml",
        "p_smallest",
        "p_over_pairs",
        "q_smallest",
    ],
    "places": [*_PAIR, "x", "y", "z", "side", "octant", "ml", "t", "p", "difference", "low", "high"],
    "structures": [
        "by",
        "kind",
        "structure",
        "weights",
        "group",
        "other",
        "share",
        "share_low",
        "share_high",
        "times",
        "times_low",
        "times_high",
        "people",
        "people_other",
        "p",
        "p_holm",
    ],
    "confounds": ["by", "group", "other", "column", "kind", "words"],
}


def _units(
    ready: Preflight, members: pd.DataFrame, index: pd.DataFrame, scans: pd.DataFrame, every: np.ndarray
) -> list[compare.Units]:
    """Maps by person: of the weights themselves, of those beside, and of their difference."""
    place = {scan: i for i, scan in enumerate(scans["scan_id"])}
    names, which = np.unique(members["unit"].to_numpy(str), return_inverse=True)
    counts = np.bincount(which)[:, None]
    rows = np.array([place[scan] for scan in members["scan_id"]])
    first = members.drop_duplicates("unit").set_index("unit").loc[names]
    within = None
    if ready.config.within:
        level = dict(
            zip(
                index["scan_id"],
                index[ready.config.within].astype(object).where(index[ready.config.within].notna(), ""),
                strict=True,
            )
        )
        within = np.array([str(level[scan]) for scan in first["scan_id"]])
    looks = []
    for maps, source in zip(every, ready.sources, strict=True):
        means = np.zeros((len(names), maps.shape[1]))
        np.add.at(means, which, maps[rows])
        people_, groups = first["participant"].to_numpy(str), first["group"].to_numpy(str)
        looks.append(compare.Units(source.name, names, people_, groups, (means / counts).astype(np.float32), within))
    if len(looks) == 2:
        own, beside = looks
        looks.append(
            compare.Units(
                f"{own.weights} - {beside.weights}", own.names, own.people, own.groups, own.maps - beside.maps, within
            )
        )
    return looks


def _shares(
    looks: list[compare.Units], members: pd.DataFrame, labels: pd.DataFrame, inside: np.ndarray, frame: Frame
) -> pd.DataFrame:
    """Shares of structures and octants by unit, for ``compare.group_shares``; where there are other weights beside,
    their difference by unit too."""
    parts = []
    for look in looks[:2]:
        mine = [compare.octant_shares(look, inside, frame).assign(kind="octant")]
        if len(labels):
            known = members.merge(labels[labels["weights"] == look.weights], on="scan_id")
            means = known.groupby(["unit", "structure"], sort=False)[["share", "times"]].mean().reset_index()
            mine.insert(0, means.assign(kind="structure"))
        parts.append(pd.concat(mine, ignore_index=True).assign(weights=look.weights))
    if len(parts) == 2:
        both = parts[0].merge(parts[1], on=["unit", "kind", "structure"], suffixes=("", "_beside"))
        apart = {name: both[name] - both[f"{name}_beside"] for name in ("share", "times")}
        parts.append(both[["unit", "kind", "structure"]].assign(**apart, weights=looks[2].weights))
    first = looks[0]
    about = pd.DataFrame({"unit": first.names, "participant": first.people, "group": first.groups})
    return pd.concat(parts, ignore_index=True).merge(about, on="unit")


def _corners(frame: Frame) -> list[list[float]]:
    return [frame.low.tolist(), frame.high.tolist()]
