"""A measure: where its values come from, in which words and digits they are said, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from workbench.measures.masks import Empty, Masks

Task = Literal["segment", "classes", "number", "tokens", "attend", "reliability", "probe"]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One row of the table of measures. Its values come from one or two of ``compute``, ``of_rows``, ``of_people``."""

    name: str
    """Of its column or row in the tables of a run."""
    task: Task
    """What it is a measure of: outlines, a predicted class, a predicted number, or what a look into an encoder is."""
    title: str
    """As an axis has it: "Dice"."""
    words: str
    """What a difference is counted in: "Dice points"."""
    long: str = ""
    """In a methods paragraph; a measure without is not named there."""
    unit: str = ""
    scale: float = 1.0
    """Factor of the report's numbers: 100 where points or percent are told."""
    digits: int = 2
    """Decimals of a number so scaled."""
    better: Literal["higher", "lower"] | None = "higher"
    """None: neither side is (a signed error), so that no mean is shown and no arm wins by it."""
    most: float = math.inf
    """The largest value there is; the least is 0 for all of them that have a better side."""
    compute: Callable[[Masks], float] | None = None
    """Of one structure in one scan: a column of the table ``dice`` of a run."""
    empty: Mapping[Empty, float | Callable[[Masks], float]] = field(default_factory=dict)
    """What it is where the prediction, the truth or both hold nothing; what is not named here is computed."""
    of_rows: Callable[[pd.DataFrame], pd.Series] | None = None
    """A value a row, from other columns of the table ``dice`` or ``predictions`` or, of a look into an encoder, of the
    table that ``measures.looks`` names; NaN where there is none."""
    needs: tuple[str, ...] = ()
    """Columns that ``of_rows`` reads and that an old run may lack."""
    of_people: Callable[[np.ndarray], float] | None = None
    """From everybody at once: ``(people, 1 + predictions)``, the truth first; a row of the table ``scores``."""

    def of_masks(self, masks: Masks) -> float:
        """Of one structure in one scan."""
        assert self.compute is not None
        if masks.empty and masks.empty in self.empty:
            given = self.empty[masks.empty]
            return given(masks) if callable(given) else given
        return self.compute(masks)

    def values(self, table: pd.DataFrame) -> pd.Series:
        """A value a row of the table ``dice`` or ``predictions`` of a run, see ``measures_in``."""
        return self.of_rows(table) if self.of_rows is not None else table[self.name].astype(float)

    def number(self, value: float) -> str:
        """As the report has it: 71.2 of a Dice of 0.712."""
        return f"{value * self.scale:.{self.digits}f}".replace("-", "−")

    def signed(self, value: float) -> str:
        """A difference, as the report has it: +1.8, ±0.0."""
        text = f"{value * self.scale:+.{self.digits}f}"
        return ("±" + text[1:] if float(text) == 0 else text).replace("-", "−")

    @property
    def plain_digits(self) -> int:
        """Decimals of a value that is not scaled, as it is stored: as exact as the report's."""
        return self.digits + round(math.log10(self.scale))

    def plain(self, value: float, sign: str = "") -> str:
        """As it is stored, without a factor and without its unit: 0.712."""
        return f"{value:{sign}.{self.plain_digits}f}".replace("-", "−")
