"""Every number of every person: one long table, a row a person, structure, metric, arm, direction, share and repeat."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.runs import Run
from workbench.stats import auroc
from workbench.study.cell import Cell

PLACE = ["task", "kind", "direction", "fraction", "arm", "seed", "finetune_seed", "fold"]
METRICS = ("dice", "hd95_mm", "surface_dice_1mm", "volume_error_ml", "volume_error_percent")
MEAN = "mean"  # over the structures, or a score that has none


def person_table(cells: list[Cell]) -> pd.DataFrame:
    """Of the cells of the stage "test": PLACE, ``participant``, ``site``, ``structure``, ``metric``, ``value``.

    Scans of a person are averaged. Of a classification the rows are ``score`` (probability of the positive class),
    ``truth`` (1 or 0), ``brier`` and ``correct``; of a regression ``score``, ``truth`` and ``absolute_error``.
    """
    tables = [_of_cell(cell) for cell in cells if cell.about.get("stage") == "test"]
    columns = [*PLACE, "participant", "site", "structure", "metric", "value", "cell"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def _of_cell(cell: Cell) -> pd.DataFrame:
    run = Run(cell.folder)
    long = _segmentation(run) if cell.about["kind"] == "segment" else _prediction(run)
    return long.assign(cell=cell.name, **{name: cell.about[name] for name in PLACE})


def _segmentation(run: Run) -> pd.DataFrame:
    table = run.read_table("dice")
    table = table[table["split"] == "test"]
    by = table.groupby(["participant", "site", "structure"])[list(METRICS)].mean().reset_index()
    every = by.groupby(["participant", "site"])[list(METRICS)].mean().reset_index().assign(structure=MEAN)
    long = pd.concat([every, by], ignore_index=True)
    return long.melt(["participant", "site", "structure"], list(METRICS), "metric", "value")


def _prediction(run: Run) -> pd.DataFrame:
    table = run.read_table("predictions")
    table = table[table["split"] == "test"]
    classes = list(run.provenance.get("classes") or [])
    wide = table[["participant", "site", "score"]].copy()
    if not classes:
        wide["truth"] = table["truth"].astype(float)
        wide["absolute_error"] = (wide["score"] - wide["truth"]).abs()
    else:
        chances = table[[f"p_{name}" for name in classes]].to_numpy(float)
        place = table["truth"].astype(str).map({name: i for i, name in enumerate(classes)}).to_numpy(int)
        hit = np.eye(len(classes))[place]
        if len(classes) == 2:
            wide["truth"], wide["brier"] = hit[:, 1], (chances[:, 1] - hit[:, 1]) ** 2
        else:
            wide["brier"] = ((chances - hit) ** 2).sum(axis=1)
        wide["correct"] = (chances.argmax(axis=1) == place).astype(float)
    mean = wide.groupby(["participant", "site"]).mean().reset_index().assign(structure=MEAN)
    names = [c for c in mean if c not in ("participant", "site", "structure")]
    return mean.melt(["participant", "site", "structure"], names, "metric", "value")


def scored(people: pd.DataFrame) -> pd.DataFrame:
    """Score and truth a person of a binary task: columns PLACE without repeats, ``participant``, ``score``, ``truth``.

    Repeats of fine-tuning are averaged; folds test different people of one seed, so that they are pooled.
    """
    place = [name for name in PLACE if name not in ("finetune_seed", "fold")]
    rows = people[people["metric"].isin(["score", "truth"])]
    wide = rows.pivot_table("value", [*place, "participant"], "metric", aggfunc="mean").reset_index()
    if not {"score", "truth"} <= set(wide.columns):
        return pd.DataFrame(columns=[*place, "participant", "score", "truth"])
    binary = wide.groupby("task")["truth"].transform(lambda t: set(t.unique()) <= {0.0, 1.0})
    return wide[binary.astype(bool)]


def auroc_parts(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Jackknife pseudo-values of the AUROC, one a person: n · AUROC − (n − 1) · AUROC without that person.

    Their mean is (all but) the AUROC, and they can be analysed as people's values are, over seeds too (Dorfman, Berbaum
    & Metz 1992, Invest. Radiol. 27:723, where readers stand in the place of seeds). NaN for the only one of a class.
    """
    scores, positive = np.asarray(scores, float), np.asarray(positive, bool)
    n, whole = len(scores), auroc(scores, positive)
    keep = ~np.eye(n, dtype=bool)
    return np.array([n * whole - (n - 1) * auroc(scores[row], positive[row]) for row in keep])
