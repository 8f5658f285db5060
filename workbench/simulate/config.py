"""Settings of the simulated cohort."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from workbench.runs import LATER, JobConfig

Contrast = Literal["T1w", "T1c", "T2w", "FLAIR"]


class SimulateConfig(JobConfig):
    """Write a simulated multi-site T1w cohort as a BIDS dataset, with exact hippocampus and ventricle labels.

    The images are simulated and are labelled so everywhere. They are for tests, demonstrations and method studies with
    a known truth; they are no evidence about patients.
    """

    job: ClassVar[str] = "simulate"

    participants: int = Field(72, ge=3, le=5000)
    """Number of participants over all sites; one scan each."""

    sites: int = Field(3, ge=3, le=5)
    """Number of sites, taken in order from the table in `workbench.simulate.sites`."""

    spacing: float = Field(2.0, ge=0.7, le=6.0)
    """Nominal voxel size in mm; each site's own voxel size is a stated multiple of it, per axis."""

    seed: int = Field(0, ge=0, le=2**31 - 1)
    """Seed of every random choice. The same settings and seed give the same files, whatever the number of workers."""

    confound: float = Field(0.0, ge=0.0, le=1.0)
    """How far site and the `confounded` variables go together: 0 balanced at every site; 1 the first site holds only
    AD (or only M), the last one only CN (or only F), the sites between them in equal steps."""

    confounded: Literal["diagnosis", "sex", "both"] = "diagnosis"
    """Which variable `confound` ties to the site."""

    age_matched: bool = True
    """Draw the ages of both diagnoses from 55-85 years. Off: CN from 20-85, so that age and diagnosis are confounded
    as they are in pooled lifespan cohorts."""

    head: bool = False
    """Add a rough skull and scalp, and air noise around them, and write the brain mask to the derivatives. Off: the
    scans are skull-stripped, exactly 0 outside the brain."""

    travelling: bool = Field(False, json_schema_extra=LATER)
    """Everybody is scanned at every site, a session at each (travelling heads): the same anatomy, other images. Off:
    one scan each."""

    followups: int = Field(0, ge=0, le=20, json_schema_extra=LATER)
    """Further sessions of everybody, `years_between` apart, in which they are older: the anatomy changes by the stated
    amounts a year."""

    years_between: float = Field(2.0, gt=0, le=20, json_schema_extra=LATER)
    """Years from one follow-up to the next."""

    converters: float = Field(0.0, ge=0, le=1, json_schema_extra=LATER)
    """Share of the CN who become AD while they are followed up: what AD does to the anatomy grows evenly from nothing
    at the first session to all of it at the last, and the diagnosis changes once more than half of it is there."""

    contrasts: tuple[Contrast, ...] = Field(("T1w",), json_schema_extra=LATER)
    """Scans of each session, of the same head on the same grid: T1w, and of T1c (after a contrast agent, written
    `ce-simulated_T1w`), T2w and FLAIR those that are named. The first is T1w."""

    tumours: bool = Field(False, json_schema_extra=LATER)
    """Everybody has a tumour in the white matter: a necrotic core, an enhancing rim and oedema around it, labelled as
    BraTS labels them. Its place and size have nothing to do with sex, age, diagnosis or site."""

    workers: int = Field(0, ge=0, le=256, exclude=True)
    """Processes that work side by side; 0 takes one per available CPU where there are scans enough to be worth it, 1
    works in this process."""

    @model_validator(mode="after")
    def _every_site_has_someone(self) -> Self:
        if self.participants < self.sites:
            raise ValueError(f"{self.sites} sites need at least {self.sites} participants, not {self.participants}")
        if self.converters and not self.followups:
            raise ValueError("converters: nobody can convert without followups (1 or more)")
        if self.contrasts[:1] != ("T1w",) or len(set(self.contrasts)) < len(self.contrasts):
            raise ValueError(f"contrasts: T1w first, and each once, not {' '.join(self.contrasts)}")
        return self
