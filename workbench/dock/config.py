"""Settings of the job `import`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from workbench.dock.table import FORMATS
from workbench.model.config import Intensities
from workbench.prepare.config import Interpolation, MaskChoice
from workbench.runs import JobConfig
from workbench.volumes.volume import Triple


class ImportConfig(JobConfig):
    """Take published weights in, as an encoder that every job takes: safetensors, a card, and key by key what was taken
    and what was left."""

    job: ClassVar[str] = "import"

    weights: Path
    """Checkpoint as it was published (.pt, .pth, .ckpt, .tar, .safetensors); read without pickle."""
    format: str
    """Which published form it has; `docs/formats.md` says which there are."""
    store: Path | None = None
    """Store that the encoder will be given: its preparation and spacing are the encoder's from then on. In place of it,
    the settings of `workbench prepare` below."""
    spacing: float | None = Field(None, ge=0.3, le=8.0)
    """Edge of the prepared voxels, mm; unset, what the format was trained on. Where it is a multiple of that, prepared
    voxels are enlarged inside."""
    mask: MaskChoice = "auto"
    """As in `workbench prepare`."""
    interpolation: Interpolation = "linear"
    """As in `workbench prepare`."""
    n4: bool = False
    """As in `workbench prepare`."""
    clip_percentile: float = Field(99.9, gt=90.0, le=100.0)
    """As in `workbench prepare`."""
    intensities: Intensities | None = None
    """Scale that the encoder is given: zscore, unit (0 to 1), symmetric (-1 to 1); unset, the format's."""
    image_size: int | Triple | None = None
    """Edge of the crop that it was trained on, in its own voxels, where its weights do not tell."""
    heads: int | None = Field(None, ge=1, le=64)
    """Heads of attention, which no weight tells; unset, the usual number of its width."""
    inside: str = ""
    """Where in the checkpoint the encoder is, such as `teacher` or `student.backbone`; unset, where the format says."""
    leave: tuple[str, ...] = ()
    """Names in the checkpoint, with * for anything, that do not belong to the encoder though the format does not know
    them, such as `head.*`."""
    enlarge: int | None = Field(None, ge=1, le=8)
    """Its voxels along each edge of a prepared one; unset, as often as what it was trained on goes into `spacing`."""
    source: str = "not stated"
    """Where the weights were got from: a paper, an address, a version."""
    licence: str = "not stated"
    """Licence of the weights, in your words."""
    people: Path | None = None
    """Text file with everybody whom it has seen, a line each, as `dataset/participant`. Without it nobody knows, and
    every test is possibly transductive."""
    seen: Literal["unknown", "nobody_here"] = "unknown"
    """`nobody_here`: you know that it has seen none of the people of your cohort, though not who they were."""

    @model_validator(mode="after")
    def _check_import(self) -> ImportConfig:
        if self.format not in FORMATS:
            raise ValueError(f"format: '{self.format}' is none of {', '.join(FORMATS)}")
        if self.store is not None:
            fields = type(self).model_fields
            set_too = [
                name
                for name in ("spacing", "mask", "interpolation", "n4", "clip_percentile")
                if getattr(self, name) != fields[name].default
            ]
            if set_too:
                raise ValueError(f"{', '.join(set_too)}: the store says so already")
        if self.people is not None and self.seen != "unknown":
            raise ValueError("seen: the file of people says so already")
        return self
