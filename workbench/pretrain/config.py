"""Settings of pretraining. Where the VolTA paper (arXiv 2605.16775) is silent, DINO, iBOT or MC-SSL decide."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from workbench.model.config import EncoderConfig, triple
from workbench.pretrain.objectives.settings import ObjectiveSettings
from workbench.runs import LATER, JobConfig, Settings
from workbench.runs.slurm import SlurmSettings
from workbench.volumes.volume import Triple


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
    contrast: float = Field(0.0, ge=0, le=3)
    """Strength of another contrast in what the student sees: its intensities go through a random curve whose knots are
    moved by this many of the brain's standard deviations. The teacher, and what is to be rebuilt, keep the scan's."""

    drawn_contrast: float = Field(0.0, ge=0, le=1)
    """Probability that the contrast of a view is drawn anew from the scan's label map, a Gaussian a kind of tissue
    (SynthSeg, arXiv 2107.09559), half of the time with what is labelled outside the brain. Only where a map covers at
    least half of the brain; other scans keep their intensities."""
    bend: float = Field(0.0, ge=0, le=0.03)
    """How much the anatomy is bent, by another smooth field in each view: standard deviation of its knots as a share of
    the scan's box (0.02 is about 3 mm)."""
    cut: float = Field(0.0, ge=0, le=0.4)
    """Largest share of an edge of the scan's box that is cut away, at each of its six sides with probability one half,
    anew in each view: where a brain ends is up to the scanner's field of view and the brain mask, not to anatomy."""

    local_crops: int = Field(0, ge=0, le=16)
    """Small crops of each scan that only the student sees (DINO's multi-crop); the CLS term aligns them."""
    local_scale: tuple[float, float] = (0.05, 0.25)
    """Share of the brain box's volume that a small crop covers, smallest and largest."""
    local_size: int | Triple | None = None
    """Edge of a small crop in voxels, a multiple of the patch; none takes half of the crop."""

    other_session: Literal["no", "cls", "registered"] = Field("no", json_schema_extra=LATER)
    """Another session of the same person as the second view, drawn anew each time; of somebody with one session both
    views are of one scan, as they are with no. cls: CLS is aligned between the sessions, tokens are not. registered:
    tokens of the same place too, where both sessions have one grid in their files and brain boxes that lie on each
    other: that the brains were registered is yours to know."""

    @model_validator(mode="after")
    def _check_scale(self) -> ViewSettings:
        for name, (smallest, largest) in (("scale", self.scale), ("local_scale", self.local_scale)):
            if not 0 < smallest <= largest <= 1:
                raise ValueError(f"{name} must be 0 < smallest <= largest <= 1")
        return self

    def local_xyz(self, encoder: EncoderConfig) -> Triple:
        """Voxels of a small crop."""
        if self.local_size is not None:
            return triple(self.local_size)
        a, b, c = (max(p, n // 2 // p * p) for n, p in zip(encoder.size_xyz, encoder.patch_xyz, strict=True))
        return a, b, c


class MaskSettings(Settings):
    """Group masking (GMML arXiv 2104.03602, VolTA): blocks of the volume replaced, aligned to the patch grid."""

    ratio: float | None = Field(None, ge=0, lt=1)
    """Share of the volume that is replaced; none takes the objective's own (volta 0.5, mae 0.75, simclr 0)."""
    largest: float = Field(0.3, gt=0, le=1)
    """Longest edge of a block as a share of the axis."""
    align: int = Field(0, ge=0)
    """Grid in voxels that blocks keep to; 0 means the patch, which makes whole tokens masked."""
    fill: Literal["noise", "zeros", "other"] = "noise"
    """What replaces a block: N(0, 1) noise, zeros, or the same place of another volume of the batch."""


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
    start_from: Path | None = Field(None, json_schema_extra=LATER)
    """Encoder (run, folder, or a name such as volta-tiny) whose weights training begins with, in place of random ones.
    Its architecture and preparation must be the same; whoever it has seen counts as seen by what comes out."""
    objective: SerializeAsAny[ObjectiveSettings] = Field(
        default_factory=lambda: ObjectiveSettings.variants()["volta"]()
    )
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
    probe: tuple[str, ...] = ()
    """Columns of the cohort (sex, site, age …) that a kNN probe on CLS follows during training. Labels are looked at,
    never learnt from."""
    probe_scans: int = Field(200, ge=8)
    """Training scans the probe uses at most, one a person."""
    probe_times: int = Field(20, ge=1)
    """How often the probe is taken: before the first step, after the last, and evenly between."""
    monitor_every: int = Field(10, ge=1)
    """Steps between looks at the costlier monitors: entropies, KL, rank, gradient shares."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """Arithmetic; bf16-mixed on a recent GPU. Softmaxes stay in float32."""

    # how, not what: a run may be continued with other values
    workers: int = Field(1, ge=0, exclude=True)
    """Processes that read and crop ahead of the training (of each device); 0 reads in the training process."""
    checkpoint_minutes: float = Field(10.0, ge=0, exclude=True)
    """Minutes between checkpoints; a killed run loses at most these. 0 saves after every step."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", exclude=True)
    """Device kind."""
    devices: int = Field(1, ge=1, exclude=True)
    """Devices (processes) on each node; batch_size is shared out among them."""
    nodes: int = Field(1, ge=1, exclude=True)
    """Nodes, started by torchrun or Slurm."""
    executor: Literal["here", "slurm"] = Field("here", exclude=True)
    """Here (or where torchrun or Slurm has started this), or as a Slurm job of `nodes` times `devices` processes that
    goes on from its checkpoint when it is queued again."""
    slurm: SlurmSettings = Field(default_factory=SlurmSettings, exclude=True)
    """What that job asks of Slurm."""
    strategy: Literal["ddp", "fsdp"] = Field("ddp", exclude=True)
    """How several devices share the work: each holds the whole model, or a shard of it (large models)."""
    activation_checkpointing: bool = Field(False, exclude=True)
    """Compute the student's blocks again in the backward pass instead of keeping them: less memory, more time."""
    compile: bool = Field(False, exclude=True)
    """Compile the transformer blocks with torch.compile; the first steps are slow."""

    @field_validator("objective", mode="before")
    @classmethod
    def _look_up(cls, value: Any) -> Any:
        """Settings of the objective that ``name`` says, volta unless it says another."""
        if not isinstance(value, dict):
            return value
        known, name = ObjectiveSettings.variants(), value.get("name", "volta")
        if name not in known:
            raise ValueError(f"there is no objective {name!r}; there are {', '.join(known)}")
        return known[name](**value)

    @model_validator(mode="after")
    def _check_batch(self) -> PretrainConfig:
        if self.batch_size % self.accumulate:
            raise ValueError(f"batch_size {self.batch_size} is not a multiple of accumulate {self.accumulate}")
        if self.mask.fill == "other" and self.batch_size // self.accumulate < 2:
            raise ValueError("mask.fill 'other' needs at least two scans in each backward pass")
        if self.views.local_crops:
            for size, patch in zip(self.views.local_xyz(self.encoder), self.encoder.patch_xyz, strict=True):
                if size < patch or size % patch:
                    raise ValueError(f"views.local_size {size} is not a multiple of the patch {patch}")
            if not getattr(self.objective, "weight_cls", 0):
                raise ValueError("views.local_crops are for an objective with a CLS alignment (volta, weight_cls)")
        if (session := self.views.other_session) != "no":
            compared = self.objective.compares
            if not compared or (session == "cls" and "cls" not in compared):
                raise ValueError(
                    f"views.other_session {session}: the objective compares "
                    f"{' and '.join(sorted(compared)) or 'nothing'} between its two views (alignment_cls 'place' "
                    "compares no CLS); choose another alignment, or registered where tokens are compared"
                )
        return self

    @property
    def mask_ratio(self) -> float:
        """Share of a view that is masked."""
        return self.objective.mask_ratio if self.mask.ratio is None else self.mask.ratio
