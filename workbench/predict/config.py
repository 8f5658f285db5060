"""Settings of the job `predict`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from workbench.cohort.contrasts import asked_for
from workbench.runs.config import LATER
from workbench.runs.spread import SpreadConfig


class PredictConfig(SpreadConfig):
    """Apply a model to scans that no store holds: segment them, predict a label, or embed them. Not for diagnosis."""

    job: ClassVar[str] = "predict"

    model: str
    """Run of segment, classify or pretrain (or the `model` folder in it), or the name of an encoder."""
    scans: tuple[Path, ...] = Field(min_length=1)
    """NIfTI files, and folders of them (the files directly in a folder); data sets of a layout that `cohort` knows; and
    cohorts. For a model of several contrasts a file is the first, and the others lie beside it, named alike."""
    contrast: tuple[str, ...] = Field((), json_schema_extra=LATER)
    """Contrasts of the scans, such as T1w FLAIR. Nothing need be said: the model knows what it takes, and refuses
    others."""
    missing_channel: Literal["drop", "zero"] = Field("drop", json_schema_extra=LATER)
    """A person who lacks one of several contrasts: set aside, or taken with zeros in its place."""
    masks: tuple[Path, ...] = ()
    """Brain masks, one a scan in the same order; without them the brain is found as that of the model's own scans."""
    query: str = ""
    """Also an attention map of each scan (encoders): cls, register:1, voxel:X,Y,Z in world mm of the scan."""
    probabilities: bool = False
    """Also a map of each structure's probability (segmentations)."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device kind."""

    @field_validator("contrast")
    @classmethod
    def _by_their_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return asked_for(value) if value else value

    @model_validator(mode="after")
    def _check_masks(self) -> PredictConfig:
        if self.masks and len(self.masks) != len(self.scans):
            raise ValueError(f"masks: {len(self.masks)} for {len(self.scans)} scans; give one a scan, in their order")
        if self.masks and any(p.is_dir() for p in self.scans):
            raise ValueError("masks: name the scans one by one, so that each mask has its scan")
        return self
