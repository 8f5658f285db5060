"""From where to where: directions by name, and who is trained on, chosen on and tested on in each of their folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from workbench.cohort.splits import split_participants
from workbench.errors import WorkbenchError
from workbench.study.settings.parts import DirectionSettings


@dataclass(frozen=True)
class Direction:
    """Sites to train on and to test on; the same ones where it is within."""

    train: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def within(self) -> bool:
        return self.train == self.test

    @property
    def name(self) -> str:
        left = " + ".join(self.train)
        return f"within {left}" if self.within else f"{left} → {' + '.join(self.test)}"


def expand(wanted: Sequence[DirectionSettings], sites: Sequence[str], where: str) -> list[Direction]:
    """Every direction once, in order; empty lists stand for all ``sites``.

    Raises:
        WorkbenchError: a site that is not there.
    """
    found: list[Direction] = []
    for one in wanted:
        named = [*(one.within or ()), *one.train, *one.test, *(one.leave_one_out or ()), *(one.matrix or ())]
        if missing := sorted(set(named) - set(sites)):
            raise WorkbenchError(
                f"{where}: no usable scan of site {', '.join(missing)}",
                cause=f"sites there: {', '.join(sites)}",
                remedy="check directions and pretrain_sites",
            )
        if one.within is not None:
            pooled = tuple(sorted(one.within or sites))
            found.append(Direction(pooled, pooled))
        elif one.leave_one_out is not None:
            every = one.leave_one_out or tuple(sites)
            found += [Direction(tuple(s for s in every if s != out), (out,)) for out in every]
        elif one.matrix is not None:
            every = one.matrix or tuple(sites)
            found += [Direction((a,), (b,)) for a in every for b in every]
        else:
            found.append(Direction(tuple(sorted(one.train)), tuple(sorted(one.test))))
    if lonely := [d.name for d in found if not d.train]:
        raise WorkbenchError(f"{where}: nobody to train on in {', '.join(lonely)}", remedy="it needs two sites or more")
    return list(dict.fromkeys(found))


def sides(
    index: pd.DataFrame,
    direction: Direction,
    *,
    fold: int,
    folds: int,
    validation: float,
    seed: int,
    stratify: Sequence[str],
) -> pd.DataFrame:
    """Everybody of a store on one side: ``participant``, ``split``. The same for every task on these sites.

    Within sites, fold ``fold`` is tested and a share of the others chooses settings. Between sites everybody of the
    test sites is tested, and fold ``fold`` of the training sites chooses. People of other sites are on the training
    side, where a pretraining may see them and ``train_sites`` keeps them from fine-tuning.

    Args:
        index: One row a scan: ``participant``, ``site`` and the ``stratify`` columns.
    """
    inside = index[index["site"].isin({*direction.train, *direction.test})]
    tested_sites = set() if direction.within else set(direction.test)
    tested = set(inside.loc[inside["site"].isin(tested_sites), "participant"])
    learnt = inside[~inside["participant"].isin(tested)]
    levels = [name for name in stratify if name in index and index[name].notna().any()]
    part = split_participants(learnt, folds=folds, seed=seed, stratify=levels)
    chosen = set(part.loc[part["fold"] == fold, "participant"])
    if direction.within:
        tested = chosen
        rest = learnt[~learnt["participant"].isin(tested)]
        half = split_participants(rest, fractions=(1 - validation, validation), seed=seed, stratify=levels)
        chosen = set(half.loc[half["split"] == "test", "participant"])
    out = pd.DataFrame({"participant": sorted(set(index["participant"]))})
    out["split"] = ["test" if p in tested else "validation" if p in chosen else "train" for p in out["participant"]]
    return out


def looked_sides(index: pd.DataFrame, direction: Direction) -> pd.DataFrame:
    """Everybody who has a scan at the test sites is looked at at once, where one encoder serves all folds."""
    there = set(index.loc[index["site"].isin(direction.test), "participant"])
    out = pd.DataFrame({"participant": sorted(set(index["participant"]))})
    out["split"] = ["test" if p in there else "train" for p in out["participant"]]
    return out


def pretrain_sides(index: pd.DataFrame, pretrain_sites: Sequence[str]) -> pd.DataFrame:
    """Only people who have scans at ``pretrain_sites`` and nowhere else are seen: whoever may be tested is not."""
    here = index["site"].isin(pretrain_sites)
    seen = set(index.loc[here, "participant"]) - spared(index, pretrain_sites)
    out = pd.DataFrame({"participant": sorted(set(index["participant"]))})
    out["split"] = ["train" if p in seen else "test" for p in out["participant"]]
    return out


def spared(index: pd.DataFrame, pretrain_sites: Sequence[str]) -> set[str]:
    """People who are kept out of pretraining though they have scans at ``pretrain_sites``: they have others too."""
    here = index["site"].isin(pretrain_sites)
    return set(index.loc[here, "participant"]) & set(index.loc[~here, "participant"])
