"""Splits by person: all scans of a person stay on one side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError
from workbench.runs import Run, digest_text, replacing
from workbench.runs.tables import read_parquet, write_parquet

NAMES = {2: ("train", "test"), 3: ("train", "validation", "test")}
MAX_LEVELS = 10  # a numeric column with more distinct values is stratified by its quarters


def split_participants(
    table: pd.DataFrame,
    *,
    fractions: Sequence[float] = (0.7, 0.15, 0.15),
    folds: int | None = None,
    seed: int,
    stratify: Sequence[str] = ("site", "sex"),
) -> pd.DataFrame:
    """Divide the people of ``table`` at random, alike in every stratum.

    Each stratum (a combination of the ``stratify`` columns) gives every part its share rounded up or down; which
    part the odd person goes to is chosen so that sites and the whole come out even. So a stratum of one person needs
    no special case.

    Args:
        table: One row a scan, with ``participant`` and the ``stratify`` columns. A person's first known value counts;
            unknown is a level of its own. Columns of many numbers (age) are cut at their quartiles.
        fractions: Shares of train and test, or of train, validation and test; they sum to 1.
        folds: Make this many equal folds in place of ``fractions``.
        seed: The same seed, people and columns give the same split, whatever the order of the rows.
        stratify: Columns to keep alike; the first matters most.

    Returns:
        One row a person, sorted: ``participant`` and ``split`` ("train", "validation", "test") or ``fold`` (0 …).

    Raises:
        WorkbenchError: a column is missing, shares that do not sum to 1, or too few people for a part.
    """
    if missing := [name for name in ("participant", *stratify) if name not in table]:
        raise WorkbenchError(
            f"cannot split: no column {', '.join(missing)}",
            remedy="choose other stratify columns",
            cause=f"the table has: {', '.join(map(str, table.columns))}",
        )
    shares = _shares(fractions, folds)
    people = table.groupby("participant", sort=True)[list(stratify)].first()  # the first value that is known
    if len(people) < sum(share > 0 for share in shares):
        raise WorkbenchError(
            f"cannot split {len(people)} people into {sum(share > 0 for share in shares)} parts",
            remedy="use fewer parts, or a larger cohort",
            cause="a part would be empty",
        )
    levels = [_levels(people[name]) for name in stratify]
    part = _assign(list(zip(*levels, strict=True)) if levels else [()] * len(people), shares, seed)
    names: Sequence[object] = range(len(shares)) if folds else NAMES[len(shares)]
    if empty := [str(name) for i, name in enumerate(names) if shares[i] > 0 and not (part == i).any()]:
        raise WorkbenchError(
            f"cannot split {len(people)} people: {', '.join(empty)} would be empty",
            cause=f"its share of {len(people)} people is less than one",
            remedy="give it a larger share, or use a larger cohort",
        )
    return pd.DataFrame({"participant": people.index, "fold" if folds else "split": [names[i] for i in part]})


def save_split(path: str | Path, split: pd.DataFrame) -> Path:
    """Write what ``split_participants`` gave as parquet, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        write_parquet(partial, split)
    return path


def load_split(path: str | Path) -> pd.DataFrame:
    """Read a saved split: the out folder of ``workbench split``, or the file that ``save_split`` wrote.

    Raises:
        WorkbenchError: not a split, or a person stands on two sides.
    """
    path = Path(path)
    if path.is_dir():
        path = Run(path).require_ok().path / "results" / "split.parquet"
    split = read_parquet(path, what="a split", remedy="give the file that save_split wrote")
    if "participant" not in split or not {"split", "fold"} & set(split.columns):
        raise WorkbenchError(
            f"{path}: not a split",
            cause=f"its columns are {', '.join(map(str, split.columns))}",
            remedy="it needs participant, and split or fold",
        )
    if split["participant"].duplicated().any():
        raise WorkbenchError(
            f"{path}: a person stands in it twice",
            remedy="make the split again",
            cause=str(split.loc[split["participant"].duplicated(), "participant"].iloc[0]),
        )
    return split


def load_sides(path: str | Path) -> pd.DataFrame:
    """A saved split with the sides train, validation and test, as every job with a ``split`` setting needs it.

    Raises:
        WorkbenchError: not a split, or one into folds.
    """
    split = load_split(path)
    if "split" not in split:
        raise WorkbenchError(
            f"{path}: divides people into folds",
            cause="train and test people are needed",
            remedy="give the out folder of `workbench split`",
        )
    return split


def tested_people(path: str | Path) -> set[str]:
    """Who is on the tested side of a saved split; errors as of ``load_sides``."""
    split = load_sides(path)
    return set(split.loc[split["split"] == "test", "participant"])


def split_fingerprint(split: pd.DataFrame) -> str:
    """Of who is on which side, whatever the order of the rows."""
    return digest_text(*sorted(f"{row.participant}\t{row.split}" for row in split.itertuples()))


def _shares(fractions: Sequence[float], folds: int | None) -> np.ndarray:
    if folds is not None:
        if folds < 2:
            raise WorkbenchError(f"cannot split into {folds} folds", remedy="use 2 folds or more")
        return np.full(folds, 1 / folds)
    shares = np.asarray(fractions, dtype=float)
    if len(shares) not in NAMES or (shares < 0).any() or abs(shares.sum() - 1) > 1e-6:
        raise WorkbenchError(
            f"cannot split into {tuple(fractions)}",
            cause="shares must be 2 or 3 and sum to 1",
            remedy="for example 0.8, 0.2 or 0.7, 0.15, 0.15",
        )
    return shares


def _levels(column: pd.Series) -> list[str]:
    """The column as text levels; "?" where nothing is known."""
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > MAX_LEVELS:
        column = pd.qcut(column, 4, labels=False, duplicates="drop")
    return ["?" if pd.isna(value) else str(value) for value in column]


def _assign(strata: list[tuple[str, ...]], shares: np.ndarray, seed: int) -> np.ndarray:
    """Which part each person goes to."""
    rng = np.random.default_rng(seed)
    members: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for person, stratum in enumerate(strata):
        members[stratum].append(person)
    part = np.zeros(len(strata), dtype=int)
    owed_all = np.zeros(len(shares))  # share so far minus people so far, over all strata
    owed_group: dict[tuple[str, ...], np.ndarray] = defaultdict(lambda: np.zeros(len(shares)))
    for stratum in sorted(members):
        people = rng.permutation(members[stratum])
        quota = shares * len(people)
        counts = np.floor(quota + 1e-9).astype(int)
        group = owed_group[stratum[:1]]  # the first column, usually the site
        owed_all += quota
        group += quota
        odd = len(people) - counts.sum()
        open_to = np.flatnonzero(quota - counts > 1e-9)
        wish = (owed_all - counts + group - counts)[open_to] + rng.uniform(0, 1e-6, len(open_to))
        counts[open_to[np.argsort(-wish)[:odd]]] += 1
        owed_all -= counts
        group -= counts
        part[people] = np.repeat(np.arange(len(shares)), counts)
    return part
