"""Every number of every person: one long table, a row a person, structure, metric, arm, direction, share and repeat."""

from __future__ import annotations

import pandas as pd

from workbench.measures import measures_in
from workbench.measures.predictions import classes_of
from workbench.runs import Run
from workbench.study.cells.cell import Cell
from workbench.study.evidence.looks import NOWHERE, WHO, of_look

PLACE = ["task", "kind", "direction", "fraction", "arm", "seed", "finetune_seed", "fold"]
MARKS = ("simulated", "transductive")  # what must stand beside every number of a cell that is so
MEAN = "mean"  # over the structures, or a score that has none


def person_table(cells: list[Cell]) -> pd.DataFrame:
    """Of the cells of the stage "test": PLACE, ``participant``, ``site``, ``structure``, ``metric``, ``value``.

    Scans of a person are averaged. Of a classification the rows are ``brier``, ``correct`` and ``class`` (its number);
    with two classes ``score`` (probability of the positive one) and ``truth`` (1 or 0), with more ``p_0`` …; of a
    regression ``score``, ``truth`` and ``absolute_error``; of a look into an encoder its measures. ``volume_error`` is
    % and without sign, ``missed`` 1 for a structure that is there and of which nothing was found. ``simulated`` and
    ``transductive`` say what the cell was.
    """
    tables = [_of_cell(cell) for cell in cells if cell.about.get("stage") == "test"]
    columns = [*PLACE, "participant", "site", "structure", "metric", "value", "cell", *MARKS]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def _of_cell(cell: Cell) -> pd.DataFrame:
    run = Run(cell.folder)
    long = {"segment": _segmentation, "classify": _prediction}.get(cell.about["kind"], _look)(run)
    marks = {name: bool(run.provenance.get(name)) for name in MARKS}
    return long.assign(cell=cell.name, **marks, **{name: cell.about[name] for name in PLACE})


def _segmentation(run: Run) -> pd.DataFrame:
    table = run.read_table("dice")
    table = table[table["split"] == "test"]
    names = [one.name for one in measures_in(table)]
    # of each row before any mean: errors of opposite sign must not make up for one another
    table = table.assign(**{one.name: one.values(table) for one in measures_in(table)})
    by = table.groupby(["participant", "site", "structure"])[names].mean().reset_index()
    every = by.groupby(["participant", "site"])[names].mean().reset_index().assign(structure=MEAN)
    long = pd.concat([every, by], ignore_index=True)
    return long.melt(["participant", "site", "structure"], names, "metric", "value")


def _prediction(run: Run) -> pd.DataFrame:
    table = run.read_table("predictions")
    table = table[table["split"] == "test"]
    classes = classes_of(table)
    wide = table[["participant", "site"]].copy()
    if not classes:
        wide["score"], wide["truth"] = table["score"], table["truth"].astype(float)
    else:
        chances = table[[f"p_{name}" for name in classes]].to_numpy(float)
        wide["class"] = table["truth"].astype(str).map({name: float(i) for i, name in enumerate(classes)})
        if len(classes) == 2:
            wide["score"], wide["truth"] = table["score"], wide["class"]
        else:
            wide = wide.assign(**{f"p_{i}": chances[:, i] for i in range(len(classes))})
    wide = wide.assign(**{one.name: one.values(table) for one in measures_in(table)})
    mean = wide.groupby(["participant", "site"]).mean().reset_index().assign(structure=MEAN)
    names = [c for c in mean if c not in ("participant", "site", "structure")]
    return mean.melt(["participant", "site", "structure"], names, "metric", "value")


def _look(run: Run) -> pd.DataFrame:
    table = of_look(run)
    names = [name for name in table if name not in WHO]
    every = table.groupby(["participant", "site"])[names].mean().reset_index().assign(structure=MEAN)
    long = pd.concat([every, table[table["structure"] != NOWHERE]], ignore_index=True)
    return long.melt(WHO, names, "metric", "value").dropna(subset="value")


def scored(people: pd.DataFrame) -> pd.DataFrame:
    """Score and truth a person of a binary task: columns PLACE without repeats, ``participant``, ``score``, ``truth``.

    Repeats of fine-tuning are averaged; folds test different people of one seed, so that they are pooled.
    """
    place = [name for name in PLACE if name not in ("finetune_seed", "fold")]
    classes = set(people.loc[people["metric"] == "class", "task"])  # a regression has score and truth as well
    rows = people[people["metric"].isin(["score", "truth"]) & people["task"].isin(classes)]
    wide = rows.pivot_table("value", [*place, "participant"], "metric", aggfunc="mean").reset_index()
    if not {"score", "truth"} <= set(wide.columns):
        return pd.DataFrame(columns=[*place, "participant", "score", "truth"])
    return wide
