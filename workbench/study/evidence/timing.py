"""Time to Dice: how soon an arm gets where the reference ends, on the validation people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workbench.runs import Run
from workbench.study.cells.cell import GROUP, Cell

SHARE = 0.95  # of the Dice at which the reference ends
DRAWS = 2000


def time_table(cells: Sequence[Cell]) -> pd.DataFrame:
    """Dice of the validation people against steps and seconds of training: GROUP, arm, seed, fold, step, seconds,
    participant, dice. Of cells that were asked for it (``validate_every``)."""
    found = []
    for cell in cells:
        if cell.about.get("stage") == "test" and cell.about["kind"] == "segment":
            run = Run(cell.folder)
            if "time_to_dice" in run.tables():
                table = run.read_table("time_to_dice")
                mean = table.groupby(["step", "seconds", "participant"])["dice"].mean().reset_index()
                found.append(mean.assign(**{k: cell.about[k] for k in (*GROUP, "arm", "seed", "fold")}))
    columns = [*GROUP, "arm", "seed", "fold", "step", "seconds", "participant", "dice"]
    return pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)


def reached_table(times: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Steps and minutes until each arm's mean Dice is 95 % of that at which the reference ends.

    People, the same for every arm, are resampled, and the goal is taken anew each time. A step is one at which Dice was
    measured, so that nothing finer than ``validate_every`` is told.

    Returns:
        GROUP, arm, goal (Dice), final, steps, steps_low, steps_high, minutes, n (people). Infinite where it is not
        reached. Places without the reference are left out.
    """
    rows = []
    for names, one in times.groupby(GROUP, sort=False):
        wide = one.pivot_table("dice", "participant", ["arm", "step"], aggfunc="mean").dropna()
        if reference not in wide or not len(wide):
            continue
        draws = np.random.default_rng(0).integers(len(wide), size=(DRAWS, len(wide)))
        ends = wide[reference].to_numpy()[:, -1]
        goal, goals = SHARE * ends.mean(), SHARE * ends[draws].mean(axis=1)
        for arm in dict.fromkeys(one["arm"]):
            steps, curve = wide[arm].columns.to_numpy(float), wide[arm].to_numpy()
            found = _first(curve.mean(axis=0)[None], steps, np.array([goal]))[0]
            each = _first(curve[draws].mean(axis=1), steps, goals)
            low, high = np.quantile(each, [0.025, 0.975], method="nearest") if len(wide) > 1 else (np.nan, np.nan)
            at = one[(one["arm"] == arm) & (one["step"] == found)]["seconds"]
            rows.append(
                {
                    **dict(zip(GROUP, names, strict=True)),
                    "arm": arm,
                    "goal": goal,
                    "final": float(curve[:, -1].mean()),
                    "steps": found,
                    "steps_low": low,
                    "steps_high": high,
                    "minutes": float(at.mean()) / 60 if len(at) else np.inf,
                    "n": len(wide),
                }
            )
    return pd.DataFrame(
        rows, columns=[*GROUP, "arm", "goal", "final", "steps", "steps_low", "steps_high", "minutes", "n"]
    )


def _first(curves: np.ndarray, steps: np.ndarray, goals: np.ndarray) -> np.ndarray:
    """The first of ``steps`` at which each of ``curves`` ``(draws, steps)`` has its goal; infinite where none has."""
    there = curves >= goals[:, None]
    return np.where(there.any(axis=1), steps[there.argmax(axis=1)], np.inf)
