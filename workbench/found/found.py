"""What a run found."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any

from workbench.errors import WorkbenchError
from workbench.jobs import JOBS, load
from workbench.runs import Run
from workbench.stats import Interval

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """The result of a run.

    Attributes:
        words: In a few words; with n and interval where it is an estimate.
        beside: Where it stands: each a sentence, such as what random weights gave on the same people.
        numbers: The estimates for a machine: measure, estimate, low, high, n, and of whom.
    """

    words: str
    beside: tuple[str, ...] = ()
    numbers: tuple[dict[str, Any], ...] = ()

    def lines(self) -> list[str]:
        return [self.words, *self.beside]


def numbers(interval: Interval) -> dict[str, float | None]:
    """An interval as JSON has it: no NaN."""
    values = {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
    return {**{name: value if math.isfinite(value) else None for name, value in values.items()}, "n": interval.n}


def named(run: object) -> str:
    """A run in a line of words: its folder's name, without the way there."""
    return str(run).replace("\\", "/").rstrip("/").rpartition("/")[2]


def found_by(run: Run) -> Found | None:
    """What a run found; None of one that has not ended well, or whose job has nothing to say.

    A table that is not as expected (an old or damaged run) is no reason to fail what only wants to tell of it: the
    words then say so.
    """
    told = run.told()
    job = JOBS.get(told["job"])
    if job is None or job.found is None or told["state"] != "ok":
        return None
    try:
        return load(job.found)(run)
    except WorkbenchError as error:
        return Found(f"not told: {error.what.removeprefix(f'{run.path}: ')}")
    except (KeyError, ValueError, IndexError, OSError) as error:
        log.debug("%s", run.path, exc_info=True)
        return Found(f"not told: its tables are not as expected ({type(error).__name__}: {str(error)[:60]})")
