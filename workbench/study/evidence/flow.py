"""Who came in, who was left out and why, who was learnt from, who was tested: after CONSORT, by person."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from workbench.prepare.store import Store
from workbench.runs import Run
from workbench.runs.tables import read_parquet
from workbench.study.cells.cell import Cell
from workbench.study.cells.data import usable_scans
from workbench.study.cells.plan import Plan
from workbench.study.settings.directions import spared

COLUMNS = ["data", "task", "direction", "kind", "what", "people", "scans"]
SIDES = {"train": "learnt from in each fold", "validation": "chosen on in each fold", "test": "tested in all"}


def flow_table(plan: Plan, people: pd.DataFrame, cells: Sequence[Cell]) -> pd.DataFrame:
    """Rows in the order of the way through the study.

    Columns: data; task and direction where it is about one; kind ("in", "out" for who was left out, "side" for a side
    of a direction: who was learnt from and chosen on are means over its folds); what; people; scans.
    """
    rows: list[dict[str, object]] = []

    def add(kind: str, what: str, who: pd.DataFrame, task: str = "", direction: str = "") -> None:
        rows.append(
            {
                "data": name,
                "task": task,
                "direction": direction,
                "kind": kind,
                "what": what,
                "people": who["participant"].nunique(),
                "scans": len(who),
            }
        )

    for name, store in plan.stores.items():
        aside = set_aside(store)
        add("in", "found", pd.concat([store.index[["participant"]], aside.loc[_whole(aside), ["participant"]]]))
        for cause, one in aside.groupby("cause", sort=False):
            what = "" if _whole(one).all() else " (the scan stays, without its segmentation or mask)"
            add("out", f"set aside: {cause}{what}", one)
        add("in", "prepared", store.index)
        only = plan.study.data[name].pretrain_sites
        if both := spared(store.index, only):
            told = f"kept out of pretraining on {', '.join(only)}: they have scans elsewhere, where they may be tested"
            add("out", told, store.index[store.index["site"].isin(only) & store.index["participant"].isin(both)])
        for task, settings in plan.study.tasks.items():
            if settings.data != name:
                continue
            index = store.index
            usable = index[usable_scans(store, settings.job, settings.settings, f"task {task}")]
            add("out", f"no label for '{task}'", index[~index["participant"].isin(usable["participant"])], task)
            if only:
                alone = usable["site"].isin(only) & ~usable["participant"].isin(both)
                add("out", f"for pretraining only: {', '.join(only)}", usable[alone], task)
            asked = {site for d in plan.directions[task] for site in (*d.train, *d.test)}
            if len(other := usable[~usable["site"].isin({*only, *asked})]):
                add("out", "at sites that no direction asks for", other, task)
            here = usable[usable["site"].isin(asked - set(only))]
            add("in", f"in '{task}'", here, task)
            learnt: set[str] = set()
            for direction in plan.directions[task]:
                sides = {"test": "looked at"} if settings.looks else SIDES
                for side, told in sides.items():
                    folds = on_side(cells, task, direction.name, side)
                    who = {person for one in folds for person in one}
                    learnt |= who
                    add("side", told, here[here["participant"].isin(who)], task, direction.name)
                    if side != "test" and folds:
                        rows[-1] |= {"people": round(sum(map(len, folds)) / len(folds)), "scans": None}
            tested = here["participant"].isin(people.loc[people["task"] == task, "participant"])
            add("out", "learnt from or chosen on, not tested", here[~tested & here["participant"].isin(learnt)], task)
            if len(nowhere := here[~tested & ~here["participant"].isin(learnt)]):
                add("out", "in no cell that ended (a fold not run, or a label that changes)", nowhere, task)
            add("in", f"tested in '{task}'", here[tested], task)
    return pd.DataFrame(rows, columns=COLUMNS).astype({"people": "Int64", "scans": "Int64"})


def on_side(cells: Sequence[Cell], task: str, direction: str, side: str) -> list[set[str]]:
    """People who were on a side, fold by fold, with the most labels that the study gives."""
    folds: dict[int, set[str]] = {}
    for cell in cells:
        if cell.about.get("stage") == "test" and (cell.about["task"], cell.about["direction"]) == (task, direction):
            found = set(Run(cell.folder).provenance.get("participants", {}).get(side, []))
            folds[cell.about["fold"]] = folds.get(cell.about["fold"], set()) | found
    return [folds[fold] for fold in sorted(folds)]


def set_aside(store: Store) -> pd.DataFrame:
    """What gathering and preparing set aside, each with its cause, as the store has kept it."""
    file = store.path / "results" / "set_aside.parquet"
    if not file.is_file():  # a store that came without it
        return pd.DataFrame(columns=["scan_id", "path", "participant", "kind", "cause", "stage"], dtype="string")
    table = read_parquet(file)
    # what follows the colon tells one file from the next ("its shape is …"): alike are those before it
    causes = [str(row.cause).removeprefix(f"{row.path}: ").split(": ")[0] for row in table.itertuples()]
    return table.assign(cause=causes, participant=table["participant"].replace("", pd.NA))


def _whole(aside: pd.DataFrame) -> pd.Series:
    """Rows about a scan itself, not about a segmentation or a mask that was left out of it."""
    return ~aside["kind"].isin(["segmentation", "mask"])
