"""Settings that every fine-tuning shares."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from workbench.runs import JobConfig

TRAINING = {"freeze", "freeze_steps", "layer_decay"}  # ways of training an encoder


class FinetuneConfig(JobConfig):
    """What every fine-tuning shares, so that two arms of a comparison differ only where they are meant to."""

    store: Path
    """Prepared store (the out folder of `workbench prepare`)."""
    split: Path
    """Split (out folder of `workbench split`): whom to train on and whom to test on."""
    encoder: Path | None = None
    """Pretraining run (or exported model folder) whose encoder is used. What has no encoder does not need it; given
    all the same, it sets the crop, and the store must be the one it belongs to."""
    init: Literal["pretrained", "random"] = "pretrained"
    """`random` takes only the architecture of `encoder` and draws new weights: the comparison's null. Where no encoder
    is used, `random` is all there is and must be said."""
    freeze: bool = False
    """Train only what sits on the encoder."""
    freeze_steps: int = Field(0, ge=0)
    """Optimiser steps with the encoder frozen, before everything is trained."""
    layer_decay: float = Field(1.0, gt=0, le=1)
    """Learning rate of each block of the encoder, as a share of the one above it; 1 treats all alike."""
    transductive: bool = False
    """Allow test people whom pretraining has seen; every result is then marked transductive."""
    allow_duplicates: bool = False
    """Allow a test scan that is nearly the same image as one trained on under another name."""
    train_sites: tuple[str, ...] = ()
    """Sites to train on; empty means all."""
    test_sites: tuple[str, ...] = ()
    """Sites to test on; empty means all."""
    label_fraction: float = Field(1.0, gt=0, le=1)
    """Share of the training people whose labels are used, at least one. The people of a smaller share are among those
    of a larger one, and sites or classes stay as even as they can."""
    label_seed: int = Field(0, ge=0)
    """Which people those are; apart from `seed`, so that repeats of an arm learn from the same people."""
    learning_rate: float = Field(1e-4, gt=0)
    """AdamW's peak learning rate."""
    schedule: Literal["cosine", "warm_up"] = "cosine"
    """`cosine`: a linear rise over the first tenth, then a cosine to 0. `warm_up`, as ablations of pretrained encoders
    recommend (OpenMind, arXiv 2412.17041): what sits on the encoder alone with a linear rise, then everything with
    another, then (1 − share of the rest)^0.9 down to 0. Arms without an encoder have the same rates."""
    warm_up: float = Field(0.1, gt=0, le=0.4)
    """Of `schedule` warm_up: share of the steps of each of the two rises."""
    weight_decay: float = Field(0.05, ge=0)
    """AdamW's weight decay; none on biases and norms."""
    batch_size: int = Field(2, ge=1)
    """Samples of one optimiser step."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """Arithmetic of networks, in training and prediction; bf16-mixed on a recent GPU. Losses stay in float32. On a CPU
    convolutions are refused in bf16-mixed, since their gradients are wrong there now and then."""
    seed: int = Field(0, ge=0)
    """Seed of new weights, order, crops and augmentation."""
    checkpoint_minutes: float = Field(5.0, ge=0, exclude=True)
    """Minutes between checkpoints; a killed run continues from the last."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device kind."""

    @property
    def uses_encoder(self) -> bool:
        return True

    @property
    def frozen(self) -> bool:
        """Whether the encoder is never trained."""
        return self.freeze

    @model_validator(mode="after")
    def _check_encoder(self) -> FinetuneConfig:
        if self.uses_encoder and self.encoder is None:
            raise ValueError("encoder: needed here; give a pretraining run (and init random for its architecture only)")
        if not self.uses_encoder and self.init != "random":
            raise ValueError("init: no encoder is used here, so there is nothing pretrained; say init random")
        if self.schedule != "warm_up":
            self.refuse_changed({"warm_up"}, "only with schedule warm_up")
        elif self.freeze_steps:
            raise ValueError("freeze_steps: schedule warm_up freezes the encoder for its first rise by itself")
        if self.freeze and (self.freeze_steps or self.layer_decay != 1):
            raise ValueError("freeze: an encoder that is never trained reads neither freeze_steps nor layer_decay")
        return self

    def refuse_changed(self, names: set[str], why: str) -> None:
        """Settings that would do nothing are refused."""
        fields = type(self).model_fields
        if changed := sorted(name for name in names if getattr(self, name) != fields[name].default):
            raise ValueError(f"{', '.join(changed)}: {why}")
