"""The measures of a study: in which words, unit and decimals each is shown, and whether more of it is better."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """How a number is shown: words, a factor, decimals, and whether more is better."""

    words: str
    scale: float = 1.0
    digits: int = 2
    better: str = "higher"
    most: float = math.inf
    """The largest value there is; the least is 0 for all of them."""

    def number(self, value: float) -> str:
        return f"{value * self.scale:.{self.digits}f}".replace("-", "−")

    def signed(self, value: float) -> str:
        text = f"{value * self.scale:+.{self.digits}f}"
        return ("±" + text[1:] if float(text) == 0 else text).replace("-", "−")


SHOWN = {
    "dice": Measure("Dice points", 100, 1, most=1),
    "auroc": Measure("AUROC", 1, 3, most=1),
    "balanced_accuracy": Measure("points of balanced accuracy", 100, 1, most=1),
    "hd95_mm": Measure("mm HD95", 1, 2, "lower"),
    "surface_dice_1mm": Measure("points of surface Dice at 1 mm", 100, 1, most=1),
    "volume_error": Measure("% absolute volume error", 1, 1, "lower"),
    "missed": Measure("% of structures missed", 100, 1, "lower", most=1),
    "correct": Measure("points of accuracy", 100, 1, most=1),
    "brier": Measure("Brier score", 1, 3, "lower"),
    "absolute_error": Measure("mean absolute error", 1, 2, "lower"),
}
PRIMARY = ("dice", "auroc", "absolute_error", "correct")
"""The measure of a task that verdicts and figures are about: the first of these that it has."""
SENSITIVITY = "sensitivity_at_"


def measure(name: str) -> Measure:
    """Of a metric by its name in the tables; one that is not known is shown under its name."""
    if name.startswith(SENSITIVITY):
        return Measure(f"points of sensitivity at {name.removeprefix(SENSITIVITY)} % specificity", 100, 1, most=1)
    return SHOWN.get(name, Measure(name))


def is_shown(name: str) -> bool:
    return name in SHOWN or name.startswith(SENSITIVITY)
