"""Settings of the jobs `segment` and `classify`. `init` says whether an encoder's weights or only its shape count."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from workbench.finetune.shared_config import TRAINING, FinetuneConfig
from workbench.runs import LATER
from workbench.runs.spread import SpreadConfig
from workbench.volumes.volume import Triple

__all__ = ["ClassifyConfig", "FinetuneConfig", "SegmentConfig"]

# of BraTS (Menze et al., IEEE TMI 2015; Baid et al., arXiv 2107.02314), by the names of the years until and since 2023
_CORE = ("necrotic_tumor_core", "non_enhancing_tumor_core", "enhancing_tumor")
SIDED = ("left_", "right_", "lh_", "rh_")  # names that a mirror image would make wrong
REGIONS = {
    "whole_tumor": (*_CORE, "peritumoral_edema", "surrounding_flair_hyperintensity"),
    "tumor_core": _CORE,
}

# what each network of `segment` and each mode of `classify` would ignore
SEGMENT_UNREAD = {
    "unetr": set(),
    "primus": {"input_skip", "deep_supervision"},
    "unet": TRAINING | {"input_skip", "deep_supervision"},
    "resenc_unet": TRAINING | {"input_skip"},
    "swin_unetr": TRAINING | {"input_skip", "deep_supervision"},
    "token_probe": TRAINING | {"input_skip", "features", "deep_supervision"},
}
LOOP = TRAINING | {"learning_rate", "schedule", "warm_up", "weight_decay", "batch_size", "epochs", "precision"}
OWN = {"neighbours", "inverse_penalty", "components", "structures", "cnn_features"}  # each read by some modes only
CLASSIFY_READ = {
    "linear": {"inverse_penalty"},
    "knn": {"neighbours"},
    "full": LOOP,
    "cnn": (LOOP - TRAINING) | {"cnn_features"},
    "pca": {"inverse_penalty", "components"},
    "untrained_cnn": {"inverse_penalty", "cnn_features"},
    "brain_volume": {"inverse_penalty"},
    "structure_volume": {"inverse_penalty", "structures"},
}


class SegmentConfig(FinetuneConfig, SpreadConfig):
    """Fine-tune a segmentation and segment people it has not seen. The training is one process; with `executor` its
    scans are segmented in several."""

    job: ClassVar[str] = "segment"

    network: Literal["unetr", "primus", "unet", "resenc_unet", "swin_unetr", "token_probe"] = "unetr"
    """`unetr`: decoder on the encoder's hidden states, or on its pyramid of features where it is convolutional.
    `primus`: the light decoder of Primus on the last tokens alone. `token_probe`: one linear layer from each patch
    token to the voxels of its patch, encoder frozen. From scratch, with the same crops, loss and steps: `unet` (MONAI's
    3D U-Net), `resenc_unet` (nnU-Net's with a residual encoder) and `swin_unetr` (MONAI's)."""
    structures: tuple[str, ...] = ("left_hippocampus", "right_hippocampus")
    """Structures by canonical name, as in the cohort's labels; they become codes 1, 2, … of the output."""
    regions: tuple[str, ...] = Field((), json_schema_extra=LATER)
    """Regions that are scored too, each a union of structures: `whole_tumor` and `tumor_core` of BraTS (its third,
    `enhancing_tumor`, is a structure)."""
    steps: int = Field(400, ge=1)
    """Optimiser steps."""
    features: int = Field(16, ge=4, le=128)
    """Channels at full resolution; a multiple of 12 for swin_unetr."""
    input_skip: bool = True
    """Path from the voxels straight into the last level (unetr). Without it nothing is solved without the encoder."""
    crop: int | Triple | None = None
    """Edge of the training crop and of the windows in voxels, one number or one an axis; unset, the encoder's."""
    foreground: float = Field(0.67, ge=0, le=1)
    """Share of the crops that are centred on a voxel of a structure."""
    deep_supervision: bool = False
    """The loss also of answers at 1/2, 1/4 … of the resolution, each with half the weight of the one before (nnU-Net);
    networks unetr and resenc_unet. What is used afterwards is the answer at full resolution."""
    structure_weight: float = Field(5.0, gt=0)
    """Weight of a structure's voxels in the cross-entropy; of the background it is 1. With 1 (nnU-Net), one of two
    mirrored structures is often lost in the first hundred steps and found again late; with 30, structures come out far
    too large (docs/finetuning.md)."""
    augmentation: Literal["mild", "nnunet"] = "mild"
    """`mild`: rotation, zoom and intensity as set below. `nnunet`: nnU-Net's, each at its own odds: turns up to 30°,
    sizes from 0.7 to 1.4, noise, blur, brightness, contrast, lower resolution and gamma (MONAI's transforms); a mirror
    image only as `mirror` says, since sides matter."""
    rotation: float = Field(10.0, ge=0, le=45)
    """Augmentation: largest rotation, degrees."""
    zoom: float = Field(0.1, ge=0, lt=0.5)
    """Augmentation: largest relative change of size."""
    mirror: tuple[Literal["x", "y", "z"], ...] = Field((), json_schema_extra=LATER)
    """Axes (x: left to right, y: back to front, z: up) along which half of the crops are mirrored, and over which
    predictions are averaged with those of the mirrored scan. `x` only where structures have no side, such as subfields
    of single hippocampi or tumours: a mirrored left one is a right one."""
    intensity: float = Field(1.0, ge=0, le=3)
    """Augmentation: strength of gamma, bias field and noise; 0 leaves intensities alone."""
    overlap: float = Field(0.5, ge=0, lt=1)
    """Overlap of the sliding windows in inference, where a scan is larger than the crop."""
    largest_component: bool = False
    """Keep only the largest connected piece of each structure. It hides stray pieces, which say that a network is not
    trained to its end; for structures in one piece only. The sidecar of each segmentation says whether it was done."""
    validate_every: int = Field(0, ge=0)
    """Dice of the validation people after every so many steps and after the last, against steps and seconds
    (`time_to_dice.parquet`); on the prepared grid, which is cheap. 0: not at all."""
    validation_scans: int = Field(8, ge=1)
    """At most so many scans for that, one a person."""
    predict: Literal["test", "validation", "all"] = "test"
    """Segment the test people only, the validation people only (to choose settings without a look at the test), or
    every scan in the store, labelled or not; only labelled scans have scores, and each row says which side of the
    split the person is on."""

    @property
    def uses_encoder(self) -> bool:
        return self.network in ("unetr", "primus", "token_probe")

    @property
    def frozen(self) -> bool:
        return self.freeze or self.network == "token_probe"

    @model_validator(mode="after")
    def _check_regions(self) -> SegmentConfig:
        for name in self.regions:
            if name not in REGIONS:
                raise ValueError(f"regions: there is no {name!r}; there are {', '.join(REGIONS)}")
            if not set(REGIONS[name]) & set(self.structures):
                raise ValueError(f"regions: {name} holds none of the structures; it is of {', '.join(REGIONS[name])}")
        return self

    @model_validator(mode="after")
    def _check_network(self) -> SegmentConfig:
        self.refuse_changed(SEGMENT_UNREAD[self.network], f"not read by network {self.network}")
        if self.augmentation == "nnunet":
            self.refuse_changed({"rotation", "zoom", "intensity"}, "augmentation nnunet has its own")
        if "x" in self.mirror and (sided := [name for name in self.structures if name.startswith(SIDED)]):
            raise ValueError(f"mirror: x would make {sided[0]} one of the other side")
        if len(set(self.mirror)) < len(self.mirror):
            raise ValueError("mirror: an axis twice")
        if self.network == "swin_unetr" and self.features % 12:
            raise ValueError("features: must be a multiple of 12 for swin_unetr, for example 12 or 24")
        if self.encoder is None and self.crop is None:
            raise ValueError("crop: needed where no encoder gives it")
        if not self.validate_every:
            self.refuse_changed({"validation_scans"}, "only with validate_every")
        return self


class ClassifyConfig(FinetuneConfig):
    """Predict a label or a number of the person from the scan."""

    job: ClassVar[str] = "classify"

    target: str = "sex"
    """Column of the cohort table. Of two values the alphabetically later one counts as positive."""
    task: Literal["classes", "regression"] = "classes"
    """`classes`: two values or more. `regression`: a number, such as age."""
    classes: tuple[str, ...] = ()
    """Of the target's values, those that are told apart, such as `CN AD`; others are left out. Empty: all."""
    mode: Literal["linear", "knn", "full", "cnn", "brain_volume", "structure_volume", "pca", "untrained_cnn"] = "linear"
    """`linear`: penalised regression on frozen [CLS; mean of patch tokens]. `knn`: the nearest training scans by the
    same. `full`: train the encoder too. `cnn`: a small DenseNet (MONAI) from scratch. The plain rivals: `brain_volume`,
    `structure_volume` (from the labels, in ml), `pca` of the intensities and `untrained_cnn` (what the network of `cnn`
    says with the weights that it was drawn with), each with the regression of `linear`."""
    balance: bool = True
    """Weigh classes so that each counts the same in training, whatever its number of people. The probabilities are
    then those of evenly frequent classes, which Brier score and calibration show where classes are uneven."""
    max_classes: int = Field(10, ge=2, le=100)
    """Refuse a target with more classes, such as an identifier taken by mistake."""
    inverse_penalty: float | None = Field(None, gt=0)
    """Inverse of the L2 penalty of the regression (C of logistic regression, 1 / alpha of ridge). Unset, each arm
    chooses its own from 1e-4 … 100 by cross-validation over its training people; the provenance says which."""
    neighbours: int = Field(20, ge=1)
    """Neighbours of `knn` (all training scans where there are fewer)."""
    components: int = Field(20, ge=1)
    """Principal components of `pca` (fewer where the scans give no more)."""
    structures: tuple[str, ...] = ("left_hippocampus", "right_hippocampus")
    """Structures of `structure_volume`; none: all that every labelled scan has."""
    cnn_features: int = Field(16, ge=4, le=64)
    """Channels of the first layer of `cnn` and `untrained_cnn`, and those that each further layer adds."""
    epochs: int = Field(10, ge=1)
    """Passes over the training scans (modes `full` and `cnn`)."""
    specificity: float = Field(0.9, gt=0, lt=1)
    """The sensitivity is given at this specificity."""

    @staticmethod
    def unread(mode: str) -> set[str]:
        """Settings that a mode does not read, and that are refused beside it."""
        return (LOOP | OWN) - CLASSIFY_READ[mode]

    @property
    def uses_encoder(self) -> bool:
        return self.mode in ("linear", "knn", "full")

    @model_validator(mode="after")
    def _check_mode(self) -> ClassifyConfig:
        self.refuse_changed(self.unread(self.mode), f"only for other modes than '{self.mode}'")
        if self.task == "regression":
            self.refuse_changed({"balance", "classes", "max_classes", "specificity"}, "only for classes")
        if len(self.classes) == 1 or len(set(self.classes)) != len(self.classes):
            raise ValueError("classes: two or more, none twice")
        return self
