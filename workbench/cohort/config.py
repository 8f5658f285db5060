"""Settings of the jobs `cohort` and `split`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from workbench.cohort.contrasts import USUAL, asked_for
from workbench.runs import LATER, JobConfig
from workbench.runs.spread import SpreadConfig


class CohortConfig(SpreadConfig):
    """Find the scans of one or several data sets, check each, and write one table."""

    job: ClassVar[str] = "cohort"

    sources: list[Path] = Field(min_length=1)
    """Where the scans are: folders as they were downloaded (BIDS and a dozen public sets are known by their names), or
    tables (CSV, TSV, Excel) of one row a scan; any mixture."""

    segmentations: str | None = None
    """Which segmentations of a BIDS folder are taken, where there are several: a folder below ``derivatives/``, or a
    variant in it, such as ``fmriprep/desc-aseg``. Unset: the variant whose table names the hippocampi, then one whose
    table names anything, then the first folder by name. The others are named in the report. One variant a data set,
    so that label codes mean one thing."""

    contrast: tuple[str, ...] = Field(USUAL, json_schema_extra=LATER)
    """Contrasts of the scans: T1w, T1c (after a contrast agent), T2w, FLAIR, PDw, UNIT1 … or another suffix of BIDS.
    Several are the channels of one scan: they are found by person and session, must show the same head in the
    same place, and are resampled onto the first, which also gives labels and brain mask."""

    missing_channel: Literal["drop", "zero"] = Field("drop", json_schema_extra=LATER)
    """A session that lacks one of several contrasts. `drop`: it is set aside. `zero`: zeros stand in its place, which
    no loss asks to be rebuilt; the first contrast may not lack. Who lacks what is said in either case."""

    resample_labels: bool = False
    """Put segmentations and masks that lie on another grid than their scan onto it, by nearest neighbour; they are set
    aside otherwise. Labels that are only stored in another order of axes are taken in either case."""

    same_people: bool = False
    """Equal ids in different sources are the same people, such as the waves of one study."""

    different_people: bool = False
    """Equal ids in different sources are different people, and nothing need be said of it."""

    same_sites: bool = False
    """Equal names of sites in different sources are one site. Otherwise they are different sites, called by the names
    of their data sets too."""

    sites: Literal["own", "dataset"] = "own"
    """`own`: sites are those that the data sets name. `dataset`: each data set counts as one site; what it says itself
    is kept in the column `site_given`."""

    strict: bool = False
    """Refuse to guess: everything that would be listed as a guess in the report (an id that is written differently, a
    coding of sex that is not explained, the same id in two sources …) is an error instead."""

    workers: int = Field(0, ge=0, le=256, exclude=True)
    """Processes that check scans at the same time; 0 = as many as there are CPUs."""

    @field_validator("contrast")
    @classmethod
    def _by_their_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return asked_for(value)

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if self.same_people and self.different_people:
            raise ValueError("same_people and different_people contradict each other: choose one")
        return self


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
    exclude: Path | None = None
    """A table of verdicts (`…-ratings.tsv` of the explorer's page Check): people with a scan that anybody rated `fail`
    are left out of every part, so that no job learns from them or tests on them."""
    selections: Path | None = Field(None, json_schema_extra=LATER)
    """A table of named selections (`…-selections.tsv`, saved in the explorer or by `wb.save_selection`), of which
    `exclude_named` and `only_named` name some."""
    exclude_named: tuple[str, ...] = Field((), json_schema_extra=LATER)
    """People with a scan in any of these selections are left out of every part."""
    only_named: tuple[str, ...] = Field((), json_schema_extra=LATER)
    """Only people with a scan in any of these selections are divided, with all of their scans."""

    @model_validator(mode="after")
    def _of_a_table(self) -> Self:
        named = bool(self.exclude_named or self.only_named)
        if named and self.selections is None:
            raise ValueError("exclude_named and only_named need the table of the selections: give selections")
        if self.selections is not None and not named:
            raise ValueError("selections alone changes nothing: give exclude_named or only_named")
        return self
