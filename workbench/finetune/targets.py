"""What is predicted: two classes or more, or a number; and how classes are weighed."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from workbench.errors import WorkbenchError
from workbench.finetune.config import ClassifyConfig


@dataclass(frozen=True)
class Target:
    """The truth of every row of a table."""

    classes: tuple[str, ...]
    """Names in alphabetical order; empty for regression."""
    values: np.ndarray
    """``(scans,)``: number of the class, or the number itself (float)."""
    weights: np.ndarray
    """``(scans,)``: what each scan counts in training; a person's scans count as one person together, and with
    ``balance`` every class as much as every other. Mean 1 over the training scans."""
    facts: dict[str, object]
    """People of each class on each side, and the weight of a person of each class."""

    @property
    def regression(self) -> bool:
        return not self.classes

    def numbers(self, z: np.ndarray, train: np.ndarray) -> np.ndarray:
        """Numbers of z-scores of the training scans, none beyond the lowest and the highest of these: a line that is
        followed to where nobody was seen gives ages of decades off on another scanner."""
        seen = self.values[train]
        return np.clip(z * seen.std() + seen.mean(), seen.min(), seen.max())


def read_target(table: pd.DataFrame, config: ClassifyConfig) -> Target:
    """The target of a table with columns ``participant`` and ``split``; imbalance is said on stderr.

    Raises:
        WorkbenchError: not a number, one class, too many classes, or a class that no training person has.
    """
    train = (table["split"] == "train").to_numpy()
    per_person = 1 / table.groupby(["participant", "split"])["scan_id"].transform("size").to_numpy(float)
    if config.task == "regression":
        values = pd.to_numeric(table[config.target], errors="coerce").to_numpy(float)
        if not np.isfinite(values).all():
            bad = table.loc[~np.isfinite(values), config.target].iloc[0]
            raise WorkbenchError(
                f"{config.target}: not a number",
                cause=f"for example {bad!r}",
                remedy="choose another --target, or --task classes",
            )
        if np.ptp(values[train]) == 0:
            raise WorkbenchError(f"{config.target}: the training people are all alike", remedy="use another split")
        return Target((), values, per_person / per_person[train].mean(), {})
    names = table[config.target].astype(str)
    classes = tuple(sorted(set(names)))
    if not 2 <= len(classes) <= config.max_classes:
        raise WorkbenchError(
            f"{config.target}: not a label with two to {config.max_classes} classes",
            cause=f"it has {len(classes)}: {', '.join(classes[:8])}",
            remedy="choose another --target, --task regression for a number, or raise --max_classes",
        )
    values = names.map({name: code for code, name in enumerate(classes)}).to_numpy(int)
    if missing := [name for code, name in enumerate(classes) if not (values[train] == code).any()]:
        alike = (
            "the training people are all alike"
            if len(classes) - len(missing) == 1
            else f"no training person is {', '.join(missing)}"
        )
        raise WorkbenchError(
            f"{config.target}: {alike}", remedy="use a split stratified by this column, or a larger --label_fraction"
        )
    people = np.array([per_person[train & (values == code)].sum() for code in range(len(classes))])
    share = people.sum() / (len(classes) * people) if config.balance else np.ones(len(classes))
    weights = per_person * share[values]
    counts = {
        side: {
            name: int(rows.loc[rows[config.target].astype(str) == name, "participant"].nunique()) for name in classes
        }
        for side, rows in table.groupby("split")
    }
    weigh = {name: round(float(share[code]), 4) for code, name in enumerate(classes)}
    tqdm.write(
        f"{config.target}: training people {counts['train']}, weight of a person {weigh}"
        + ("" if config.balance else " (not balanced)"),
        file=sys.stderr,
    )
    return Target(classes, values, weights / weights[train].mean(), {"people_by_class": counts, "class_weights": weigh})


def with_target(index: pd.DataFrame, target: str, classes: tuple[str, ...] = ()) -> pd.Series:
    """Bool a row: has a value of the target, and one of ``classes`` where they are given."""
    known = index[target].notna()
    return known & index[target].astype(str).isin(classes) if classes else known


def changing_people(table: pd.DataFrame, target: str) -> set[str]:
    """People whose label is not the same in all their scans: as one person they have no truth."""
    counts = table.groupby("participant")[target].nunique()
    return set(counts.index[counts > 1])
