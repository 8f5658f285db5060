"""Settings of pretraining. Where the VolTA paper (arXiv 2605.16775) is silent, DINO, iBOT or MC-SSL decide."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from workbench.model.config import EncoderConfig
from workbench.runs import JobConfig, Settings


class ViewSettings(Settings):
    """How two views are drawn from one scan: one affine resampling, then intensity changes. Left-right flip only."""

    scale: tuple[float, float] = (0.25, 1.0)
    """Share of the brain box's volume that a view covers, smallest and largest."""
    rotation: float = Field(10.0, ge=0, le=45)
    """Largest rotation about each axis, degrees."""
    flip: float = Field(0.5, ge=0, le=1)
    """Probability of a left-right flip; 0 where sides matter."""
    gamma: float = Field(0.3, ge=0, le=1)
    """Largest |log gamma| of the contrast change."""
    bias: float = Field(0.3, ge=0, le=1)
    """Strength of the multiplicative bias field exp(quadratic): its ten coefficients are at most a quarter of this."""
    noise: float = Field(0.1, ge=0, le=2)
    """Largest standard deviation of added noise, in units of the brain's own standard deviation."""
    blur: float = Field(1.0, ge=0, le=5)
    """Largest Gaussian blur, standard deviation in voxels; half of the views are left sharp."""

    @model_validator(mode="after")
    def _check_scale(self) -> ViewSettings:
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError("scale must be 0 < smallest <= largest <= 1")
        return self


class MaskSettings(Settings):
    """Group masking (GMML arXiv 2104.03602, VolTA): blocks of the volume replaced, aligned to the patch grid."""

    ratio: float = Field(0.5, ge=0, lt=1)
    """Share of the volume that is replaced."""
    largest: float = Field(0.3, gt=0, le=1)
    """Longest edge of a block as a share of the axis."""
    align: int = Field(0, ge=0)
    """Grid in voxels that blocks keep to; 0 means the patch, which makes whole tokens masked."""
    fill: Literal["noise", "zeros", "other"] = "noise"
    """What replaces a block: N(0, 1) noise, zeros, or the same place of another volume of the batch."""


class VoltaSettings(Settings):
    """The VolTA objective. A weight of 0 drops its term: CLS only is DINO, CLS + patch is iBOT."""

    name: Literal["volta"] = "volta"
    """Which objective."""
    weight_cls: float = Field(1.0, ge=0)
    """Weight of the global alignment: student CLS of one view against teacher CLS of the other."""
    weight_patch: float = Field(1.0, ge=0)
    """Weight of the patch-token alignment, same view."""
    weight_reconstruction: float = Field(1.0, ge=0)
    """Weight of the reconstruction of masked voxels, student only."""
    patch_tokens: Literal["all", "masked"] = "all"
    """Tokens in the patch term: all (MC-SSL) or masked only (iBOT)."""
    reconstruction: Literal["l1", "mse"] = "l1"
    """Voxel loss of the reconstruction."""
    prototypes_cls: int = Field(8192, ge=2)
    """Outputs of the CLS head; fewer (256 to 1024) are steadier at small batches."""
    prototypes_patch: int = Field(8192, ge=2)
    """Outputs of the patch head."""
    head_hidden: int = Field(2048, ge=8)
    """Hidden width of the projection MLP."""
    head_bottleneck: int = Field(256, ge=4)
    """Width before the prototypes."""
    student_temperature: float = Field(0.1, gt=0)
    """Softmax temperature of the student."""
    teacher_temperature: tuple[float, float] = (0.04, 0.07)
    """Softmax temperature of the teacher, at the start and after its warm-up."""
    teacher_temperature_epochs: float = Field(30.0, ge=0)
    """Epochs over which the teacher's temperature rises."""
    centring: Literal["mean", "sinkhorn"] = "mean"
    """How the teacher is kept from collapse: a running mean, or Sinkhorn-Knopp over the batch (large batches)."""
    centre_momentum: float = Field(0.9, ge=0, lt=1)
    """Momentum of the running centres; CLS and patches have one each."""
    ema: float = Field(0.9995, ge=0, le=1)
    """Start of the teacher's momentum, rising to 1 by a cosine; 0.996 at batches of 256 and more."""
    freeze_prototypes_epochs: float = Field(1.0, ge=0)
    """Epochs in which both prototype layers stay as they were drawn."""

    @model_validator(mode="after")
    def _check_weights(self) -> VoltaSettings:
        if self.weight_cls + self.weight_patch + self.weight_reconstruction == 0:
            raise ValueError("at least one of the three weights must be above 0")
        return self


class PretrainConfig(JobConfig):
    """Pretrain an encoder without labels."""

    job: ClassVar[str] = "pretrain"

    store: Path
    """Prepared store (the out folder of `workbench prepare`)."""
    split: Path | None = None
    """Split (out folder of `workbench split`): only its training people are seen. Without it everybody is, and
    later tests on these people are refused."""
    encoder: EncoderConfig = EncoderConfig()
    """The encoder's architecture."""
    objective: VoltaSettings = VoltaSettings()
    """The objective."""
    views: ViewSettings = ViewSettings()
    """How views are drawn."""
    mask: MaskSettings = MaskSettings()
    """How views are masked for the student."""
    epochs: float = Field(300.0, gt=0)
    """Passes over the scans."""
    batch_size: int = Field(8, ge=2)
    """Scans of one optimiser step, over all accumulation steps."""
    accumulate: int = Field(1, ge=1)
    """Backward passes of one optimiser step; the batch is divided by it, which saves memory."""
    learning_rate: float = Field(5e-4, gt=0)
    """Peak learning rate per 256 scans; the one used is this times batch_size / 256, as in DINO."""
    warmup_epochs: float = Field(10.0, ge=0)
    """Epochs of linear rise of the learning rate; at most half of the training is used for it."""
    final_learning_rate: float = Field(1e-6, ge=0)
    """Where the cosine ends (not scaled by the batch)."""
    weight_decay: tuple[float, float] = (0.04, 0.4)
    """Weight decay at the start and the end (cosine); none on biases, norms, tokens and positions."""
    clip: float = Field(3.0, ge=0)
    """Largest gradient norm; 0 does not clip."""
    seed: int = Field(0, ge=0)
    """Seed of everything drawn: weights, order, views, masks."""
    workers: int = Field(1, ge=0, exclude=True)
    """Processes that read and crop ahead of the training; 0 reads in the training process."""
    checkpoint_minutes: float = Field(10.0, ge=0, exclude=True)
    """Minutes between checkpoints; a killed run loses at most these. 0 saves after every step."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device kind."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """Arithmetic; bf16-mixed on a recent GPU. Softmaxes stay in float32."""

    @model_validator(mode="after")
    def _check_batch(self) -> PretrainConfig:
        if self.batch_size % self.accumulate:
            raise ValueError(f"batch_size {self.batch_size} is not a multiple of accumulate {self.accumulate}")
        if self.mask.fill == "other" and self.batch_size // self.accumulate < 2:
            raise ValueError("mask.fill 'other' needs at least two scans in each backward pass")
        return self
