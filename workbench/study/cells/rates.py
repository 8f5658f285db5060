"""Learning rates: chosen for each arm on the same validation people, never on those who are tested."""

from __future__ import annotations

import math

import pandas as pd

from workbench.errors import WorkbenchError
from workbench.runs import Run
from workbench.study.cells.cell import GROUP, Cell


def choose_rate(candidates: list[Cell]) -> float:
    """The learning rate that is best on the validation people; of equal ones the smallest.

    Raises:
        WorkbenchError: no candidate ended well.
    """
    scores = {cell.about["learning_rate"]: validation_score(cell) for cell in candidates if cell.done}
    scores = {rate: score for rate, score in scores.items() if math.isfinite(score)}
    if not scores:
        raise WorkbenchError(
            "no candidate of the learning rate gave a validation score",
            remedy="see why these cells failed; a larger `validation` share may be needed",
        )
    return min(scores, key=lambda rate: (-scores[rate], rate))


def validation_score(cell: Cell) -> float:
    """Of one candidate: mean Dice by person, AUROC, or minus the mean absolute error. Larger is better."""
    run = Run(cell.folder)
    if cell.about["kind"] == "segment":
        table = run.read_table("dice")
        table = table[table["split"] == "validation"]
        return float(table.groupby("participant")["dice"].mean().mean())
    table = run.read_table("scores")
    found = table[table["split"] == "validation"].set_index("score")["estimate"]
    return float(found["auroc"]) if "auroc" in found else -float(found.get("mae", math.nan))


def chosen_rates(cells: list[Cell]) -> pd.DataFrame:
    """What each tested cell of the plan learnt with: GROUP, fold, arm, seed, learning_rate."""
    columns = [*GROUP, "fold", "arm", "seed", "learning_rate"]
    rows = [
        {name: cell.about[name] for name in columns}
        for cell in cells
        if cell.about.get("stage") == "test" and "learning_rate" in cell.about
    ]
    return pd.DataFrame(rows, columns=columns).drop_duplicates(ignore_index=True)
