"""Settings of the jobs `cohort` and `split`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from workbench.runs import JobConfig


class CohortConfig(JobConfig):
    """Find the scans of one or several data sets, check each, and write one table."""

    job: ClassVar[str] = "cohort"

    sources: list[Path] = Field(min_length=1)
    """Where the scans are: BIDS folders, Medical Segmentation Decathlon folders, CSV or TSV tables; any mixture."""

    segmentations: str | None = None
    """Which folder below ``derivatives/`` the segmentations are taken from, where a BIDS folder has several; unset,
    the first by name. Others are named in the report. One folder a data set, so that label codes mean one thing."""

    workers: int = Field(0, ge=0, le=256, exclude=True)
    """Processes that check scans at the same time; 0 = as many as there are CPUs."""


class SplitConfig(JobConfig):
    """Divide the people of a cohort, alike in every stratum, into train, validation and test."""

    job: ClassVar[str] = "split"

    cohort: Path
    """Cohort (the out folder of `workbench cohort`)."""
    fractions: tuple[float, float, float] = (0.8, 0.0, 0.2)
    """Shares of people for train, validation and test; they sum to 1. Validation people are kept for your own choice
    of settings: no job trains on them or counts them as test."""
    stratify: tuple[str, ...] = ("site", "sex")
    """Columns kept alike over the parts, the most important first; one in which nothing is known is left out."""
    seed: int = Field(0, ge=0)
    """The same seed and people give the same split."""
