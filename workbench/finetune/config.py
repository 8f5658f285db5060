"""Settings of fine-tuning. Both tasks name an encoder, and `init` says whether its weights or only its shape count."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from workbench.runs import JobConfig


class FinetuneConfig(JobConfig):
    """What every fine-tuning shares, so that two arms of a comparison differ only where they are meant to."""

    store: Path
    """Prepared store (the out folder of `workbench prepare`)."""
    split: Path
    """Split (out folder of `workbench split`): whom to train on and whom to test on."""
    encoder: Path
    """Pretraining run (or exported model folder) whose encoder is used."""
    init: Literal["pretrained", "random"] = "pretrained"
    """`random` takes only the architecture of `encoder` and draws new weights: the comparison's null."""
    freeze: bool = False
    """Train only what sits on the encoder."""
    transductive: bool = False
    """Allow test people whom pretraining has seen; every result is then marked transductive."""
    train_sites: tuple[str, ...] = ()
    """Sites to train on; empty means all."""
    test_sites: tuple[str, ...] = ()
    """Sites to test on; empty means all."""
    learning_rate: float = Field(1e-4, gt=0)
    """AdamW's peak learning rate (linear rise over the first tenth, then a cosine to 0)."""
    weight_decay: float = Field(0.05, ge=0)
    """AdamW's weight decay."""
    batch_size: int = Field(2, ge=1)
    """Samples of one optimiser step."""
    seed: int = Field(0, ge=0)
    """Seed of new weights, order, crops and augmentation."""
    checkpoint_minutes: float = Field(5.0, ge=0, exclude=True)
    """Minutes between checkpoints; a killed run continues from the last."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device kind."""


class SegmentConfig(FinetuneConfig):
    """Fine-tune a segmentation (UNETR decoder) and segment people it has not seen."""

    job: ClassVar[str] = "segment"

    structures: tuple[str, ...] = ("left_hippocampus", "right_hippocampus")
    """Structures by canonical name, as in the cohort's labels; they become codes 1, 2, … of the output."""
    steps: int = Field(400, ge=1)
    """Optimiser steps."""
    features: int = Field(16, ge=4, le=128)
    """Channels of the decoder at full resolution."""
    input_skip: bool = True
    """Path from the voxels straight into the last level. Without it nothing is solved without the encoder."""
    foreground: float = Field(0.67, ge=0, le=1)
    """Share of the crops that are centred on a voxel of a structure."""
    structure_weight: float = Field(30.0, gt=0)
    """Weight of a structure's voxels in the cross-entropy; of the background it is 1. With 1, one of two mirrored
    structures is often lost in the first hundred steps and found again late."""
    rotation: float = Field(10.0, ge=0, le=45)
    """Augmentation: largest rotation, degrees."""
    zoom: float = Field(0.1, ge=0, lt=0.5)
    """Augmentation: largest relative change of size."""
    overlap: float = Field(0.5, ge=0, lt=1)
    """Overlap of the sliding windows in inference."""
    predict: Literal["test", "all"] = "test"
    """Segment the test people only, or every scan in the store, labelled or not; only labelled scans have a Dice, and
    each row says which side of the split the person is on."""


class ClassifyConfig(FinetuneConfig):
    """Predict a label of the person from the scan."""

    job: ClassVar[str] = "classify"

    target: str = "sex"
    """Column of the cohort table with two values; the alphabetically later one counts as positive."""
    mode: Literal["linear", "full"] = "linear"
    """`linear`: logistic regression on frozen [CLS; mean of patch tokens]. `full`: train the encoder too."""
    epochs: int = Field(10, ge=1)
    """Passes over the training scans (mode `full`)."""

    @model_validator(mode="after")
    def _check_mode(self) -> ClassifyConfig:
        training = {"freeze", "learning_rate", "weight_decay", "batch_size", "epochs"}
        fields = type(self).model_fields
        changed = sorted(name for name in training if getattr(self, name) != fields[name].default)
        if self.mode == "linear" and changed:
            raise ValueError(f"{', '.join(changed)}: only for mode 'full'; the linear probe is a closed regression")
        return self
