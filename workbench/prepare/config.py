"""Settings of the job "prepare"."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from workbench.cohort.contrasts import MAX_CHANNELS
from workbench.runs import LATER
from workbench.runs.spread import SpreadConfig

MaskChoice = Literal["auto", "given", "nonzero", "deepbet", "head"]
Interpolation = Literal["linear", "cubic"]


class PrepareConfig(SpreadConfig):
    """Bring every scan of a cohort onto one kind of grid and one intensity scale, once, for random access."""

    job: ClassVar[str] = "prepare"

    cohort: Path
    """Run folder of the job 'cohort': which scans to prepare."""

    spacing: float = Field(default=1.0, ge=0.3, le=8.0)
    """Edge of the isotropic voxels of the prepared scans, in mm."""

    margin: float = Field(default=2.0, ge=0.0, le=50.0)
    """Room kept around the brain on every side, in mm (never beyond the field of view of the scan)."""

    interpolation: Interpolation = "linear"
    """How intensities are interpolated, once per scan; a scan that already fits the grid is not interpolated at all.
    Label maps always take the nearest voxel."""

    mask: MaskChoice = "auto"
    """Where the brain is. given: the cohort's mask file. nonzero: whatever differs from the constant background of a
    skull-stripped scan. deepbet: the brain that a network finds in a whole head (`volta-workbench[brain]`). head: Otsu
    threshold, skull included. auto: the mask file if there is one, else nonzero if the scan is skull-stripped, else
    deepbet where it is installed, else head; which one it was stands in each sidecar and in the summary."""

    n4: bool = False
    """Correct the bias field with N4 (SimpleITK) inside the mask, at a working resolution of about 4 mm."""

    clip_percentile: float = Field(default=99.9, gt=90.0, le=100.0)
    """Intensities in the brain above this percentile, or below 100 minus it, are clipped before the z-score; 100 clips
    nothing."""

    contrasts: tuple[str, ...] = Field(default=(), max_length=MAX_CHANNELS, json_schema_extra=LATER)
    """Of the contrasts of a cohort (`cohort --contrast T1w FLAIR`) those that become the channels, in this order;
    unset, all of them. The first gives the grid and the brain mask."""

    # left out of config.yaml and of the comparison with a run that is there: it changes no voxel, and the remedy for
    # a worker that ran out of memory is to continue the same run with fewer
    workers: int = Field(default=0, ge=0, le=1024, exclude=True)
    """Processes that prepare scans at the same time; 0 = as many as there are CPUs. Each holds one scan (up to
    0.5 GB for a whole head at 1 mm). Not kept in config.yaml: it changes no voxel."""
