"""The worst cases of every arm: who they are, and their scans beside what each arm found in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError
from workbench.finetune.segment_data import class_map, to_classes
from workbench.measures import measure
from workbench.prepare.store import Store
from workbench.runs import Run
from workbench.study.evidence.numbers import MEAN
from workbench.study.report.pictures import case_picture, scan_picture
from workbench.volumes import Volume, read_volume

PANELS = 6  # arms in one picture


def worst_cases(people: pd.DataFrame, task: str, metric: str, count: int) -> pd.DataFrame:
    """The ``count`` people whom each arm does worst on with the most labels: arm, direction, participant, site, value.

    A person's repeats are averaged, and of a person whom an arm does badly on in two directions the worse one counts.
    """
    rows = people[(people["task"] == task) & (people["metric"] == metric) & (people["structure"] == MEAN)]
    rows = rows[rows["fraction"] == rows["fraction"].max()]
    mean = rows.groupby(["arm", "direction", "participant", "site"], sort=False)["value"].mean().reset_index()
    worse = mean.dropna().sort_values("value", ascending=measure(metric).better == "higher", kind="stable")
    worse = worse.drop_duplicates(["arm", "participant"])
    return worse.groupby("arm", sort=False).head(count).reset_index(drop=True)


def case_figures(people: pd.DataFrame, worst: pd.DataFrame, task: str, root: Path, store: Store) -> Iterator[str]:
    """One ``<figure>`` a person of ``worst`` (a segmentation's), with a panel an arm; a file that is gone is told."""
    arms = list(dict.fromkeys(people["arm"]))
    for (person, direction), one in worst.groupby(["participant", "direction"], sort=False):
        rows = people[
            (people["task"] == task)
            & (people["participant"] == person)
            & (people["direction"] == direction)
            & (people["structure"] == MEAN)
            & (people["metric"] == "dice")
        ]
        rows = rows[rows["fraction"] == rows["fraction"].max()].sort_values(["seed", "finetune_seed", "fold"])
        rows = rows.drop_duplicates("arm").set_index("arm")
        first = str(one["arm"].iloc[0])
        there = [arm for arm in arms if arm in rows.index]
        kept = [first, *[arm for arm in there if arm != first]][:PANELS]
        shown = [arm for arm in there if arm in kept]
        told = (
            f"{person}, {one['site'].iloc[0]}; {direction}; among the worst of {', '.join(one['arm'])}; the slice "
            f"goes through the largest error of {first}"
        )
        mark = "<b>simulated data</b>: " if store.simulated else ""
        try:
            picture = _picture(rows, shown, first, root, store)
        except (WorkbenchError, OSError) as error:
            picture = f"<p>no picture: {escape(str(getattr(error, 'what', error)))}</p>"
        yield f"<figure>{picture}<figcaption>{mark}{escape(told)}</figcaption></figure>"


def scan_figures(told: pd.DataFrame, store: Store) -> Iterator[str]:
    """One ``<figure>`` a person whom a label or number was predicted of, with what every arm said.

    Args:
        told: ``participant``, ``site`` and ``told`` (a sentence), a row a person and arm.
        store: Where their prepared scans are.
    """
    scans = store.index.drop_duplicates("participant").set_index("participant")["scan_id"]
    for (person, site), one in told.groupby(["participant", "site"], sort=False):
        mark = "<b>simulated data</b>: " if store.simulated else ""
        words = escape(f"{person}, {site}; {'; '.join(dict.fromkeys(one['told']))}")
        try:
            scan = str(scans[person])
            picture = scan_picture(Volume(store.read(scan).astype(np.float32), store.grid(scan).affine))
        except (WorkbenchError, OSError) as error:
            picture = f"<p>no picture: {escape(str(getattr(error, 'what', error)))}</p>"
        yield f"<figure>{picture}<figcaption>{mark}{words}</figcaption></figure>"


def _picture(rows: pd.DataFrame, arms: Sequence[str], worst: str, root: Path, store: Store) -> str:
    run = Run(root / "cells" / str(rows.loc[worst, "cell"]))
    table = run.read_table("dice")
    mine = table[(table["participant"] == rows.loc[worst, "participant"]) & (table["split"] == "test")]
    scan = str(mine.groupby("scan_id")["dice"].mean().idxmin())
    paths = store.index.set_index("scan_id").loc[scan]
    structures = tuple(run.config["structures"])
    labels = read_volume(paths["seg_path"], labels=True)
    truth = Volume(to_classes(labels.data, class_map(store, scan, structures)).astype(np.int32), labels.affine)
    found, told = {}, {}
    for arm in arms:
        cell = Run(root / "cells" / str(rows.loc[arm, "cell"]))
        dice = cell.read_table("dice")
        dice = dice[dice["scan_id"] == scan]
        found[arm] = read_volume(cell.path / str(dice["file"].iloc[0]), labels=True)
        told[arm] = "Dice " + " / ".join(f"{value:.2f}" for value in dice["dice"])
    return case_picture(read_volume(paths["path"]), truth, found, worst, told)
