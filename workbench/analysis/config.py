"""Settings of the jobs that look into an encoder."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from workbench.runs import JobConfig


class LookConfig(JobConfig):
    """What every look into an encoder shares."""

    store: Path
    """Prepared store (the out folder of `workbench prepare`)."""
    encoder: Path
    """Pretraining run (or exported model folder) whose encoder is used."""
    init: Literal["pretrained", "random"] = "pretrained"
    """`random` takes only the architecture of `encoder` and draws new weights: the null to hold beside it."""
    seed: int = Field(0, ge=0)
    """Seed of the projections, and of random weights."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device kind."""


class EmbedConfig(LookConfig):
    """Embed every scan, and project the embeddings once."""

    job: ClassVar[str] = "embed"

    neighbours: int = Field(15, ge=2)
    """UMAP's neighbourhood (at most the number of scans less one)."""
    min_dist: float = Field(0.1, ge=0, lt=1)
    """UMAP's smallest distance between points."""
    token: Literal["cls", "patch_mean"] = "cls"
    """Which embedding is projected; both are stored."""


class AttendConfig(LookConfig):
    """Write CLS attention maps as NIfTI in each scan's own space."""

    job: ClassVar[str] = "attend"

    block: int = -1
    """Which block, from 0, or from the end when negative."""
    heads: bool = True
    """A map for each head beside the mean."""
    interpolation: Literal["nearest", "linear"] = "nearest"
    """Enlargement to voxels; nearest lets tokens look like tokens."""
    scans: tuple[str, ...] = ()
    """Scan ids; empty means all."""
