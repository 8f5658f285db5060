"""Before a study: how many people and pretrainings show a difference, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from workbench.errors import ConfigError
from workbench.measures import main_rows, measure
from workbench.runs import Run
from workbench.stats import equivalence_power, people_needed, study_power

POWER = 0.8


def told(
    difference: float,
    spread: float,
    *,
    people: Sequence[int] = (),
    seeds: int = 1,
    seed_spread: float = 0.0,
    margin: float | None = None,
) -> Iterator[str]:
    """Lines: the people needed for 80 % power, and the power with each number of ``people``.

    Args:
        difference: The true mean difference between two arms, in the measure's own unit.
        spread: Standard deviation between people of the paired difference.
        seed_spread: Standard deviation between pretrainings of the mean difference.
        margin: Also the power to show that arms that do not differ are equivalent within it.

    Raises:
        ConfigError: numbers that make no sense.
    """
    try:
        needed = people_needed(difference, spread, power=POWER, seeds=seeds, seed_spread=seed_spread)
        over = f", {seeds} pretrainings whose difference varies by {seed_spread:g}" if seed_spread else ""
        yield f"a difference of {difference:g}, spread between people {spread:g}{over}:"
        yield (
            f"  {needed} people show it with {100 * POWER:.0f} % power"
            if needed is not None
            else f"  no number of people shows it with {100 * POWER:.0f} % power: these pretrainings differ too much"
        )
        for n in people:
            line = (
                f"  {n} people: {100 * study_power(difference, spread, n, seeds=seeds, seed_spread=seed_spread):.0f} %"
            )
            if margin is not None:
                line += f"; equivalence within ±{margin:g} if there is none: "
                line += f"{100 * equivalence_power(margin, spread, n):.0f} %"
            yield line
    except ValueError as error:
        raise ConfigError(f"power: {error}", remedy="see `workbench power --help`") from error


def of_study(path: object) -> Iterator[tuple[str, float]]:
    """Of a finished study, by task, direction and pair of arms: what it is of, and the spread between people of the
    paired difference of the main measure: the difference over Cohen's dz."""
    run = Run(str(path))
    if run.job != "compare":
        raise ConfigError(f"{path}: not a study", cause=f"it is a run of '{run.job}'", remedy="give --spread instead")
    table = run.read_table("differences")
    table = main_rows(table)
    for row in table.itertuples():
        spread = abs((row.mean_a - row.mean_b) / row.dz) if row.dz else np.nan
        if np.isfinite(spread) and spread > 0:
            place = f"{row.task}, {row.direction}, {100 * row.fraction:g} %"
            yield f"{place}, {row.a} − {row.b}, {measure(row.metric).title}", spread
