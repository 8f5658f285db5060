"""Settings of the job `compare`: the whole study in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import BeforeValidator, Field, model_validator

from workbench.runs import JobConfig, Settings


def _from_text(value: Any) -> Any:
    """A mapping or list that came from a flag is YAML text."""
    if not isinstance(value, str):
        return value
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {value[:80]}") from error


Values = Annotated[dict[str, Any], BeforeValidator(_from_text)]


class DataSettings(Settings):
    """Scans that are prepared alike: from their sources, or a cohort or store that is there."""

    simulate: dict[str, Any] | None = None
    """Settings of `workbench simulate`, for a study on simulated people."""
    sources: tuple[Path, ...] = ()
    """BIDS folders, Decathlon folders, CSV tables."""
    cohort: Path | None = None
    """In place of sources: the out folder of `workbench cohort`."""
    store: Path | None = None
    """In place of both: the out folder of `workbench prepare`."""
    segmentations: str | None = None
    """Setting of `workbench cohort`."""
    prepare: dict[str, Any] = Field(default_factory=dict)
    """Settings of `workbench prepare`, such as spacing."""
    pretrain: dict[str, Any] = Field(default_factory=dict)
    """Settings of `workbench pretrain` that suit these scans (crop, epochs); they hold for every arm."""
    pretrain_sites: tuple[str, ...] = ()
    """Sites whose people are for pretraining alone: nobody tested, nobody from a tested scanner is among them, and one
    pretraining serves every direction and fold. Empty: pretraining sees the training side of each direction and fold,
    and is done again for each."""

    @model_validator(mode="after")
    def _one_origin(self) -> DataSettings:
        given = [name for name in ("simulate", "sources", "cohort", "store") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"give one of simulate, sources, cohort, store; given: {', '.join(given) or 'none'}")
        if self.store and self.prepare:
            raise ValueError("prepare: the store is prepared already")
        if self.segmentations and not (self.sources or self.simulate):
            raise ValueError("segmentations: read with sources only")
        return self


class ArmSettings(Settings):
    """One arm: what sets it apart from the shared settings. Nothing else may differ, see `compares`."""

    pretrain: dict[str, Any] | None = None
    """Settings of `workbench pretrain` of this arm over the shared ones, such as `{objective: {name: mae}}`. None: not
    pretrained, the same architecture with random weights."""
    encoder: Path | None = None
    """In place of pretraining here: a pretraining run or exported model that is there."""
    segment: dict[str, Any] = Field(default_factory=dict)
    """Settings of `workbench segment` of this arm, such as `{network: unet}`."""
    classify: dict[str, Any] = Field(default_factory=dict)
    """Settings of `workbench classify` of this arm, such as `{mode: brain_volume}`."""
    tasks: tuple[str, ...] = ()
    """Tasks that this arm takes part in; empty means all."""

    @model_validator(mode="after")
    def _one_origin(self) -> ArmSettings:
        if self.encoder is not None and self.pretrain is not None:
            raise ValueError("give pretrain or encoder, not both")
        return self

    @property
    def pretrained(self) -> bool:
        return self.pretrain is not None or self.encoder is not None


class DirectionSettings(Settings):
    """From where to where it has to transfer. One of `within`, `train` with `test`, `leave_one_out`, `matrix`."""

    within: tuple[str, ...] | None = None
    """Train and test inside these sites, pooled, by folds of people; an empty list means all sites."""
    train: tuple[str, ...] = ()
    """Train on the people of these sites …"""
    test: tuple[str, ...] = ()
    """… and test on all people of these, none of whom is trained on."""
    leave_one_out: tuple[str, ...] | None = None
    """Each of these sites is tested on once, after training on the others; an empty list means all sites."""
    matrix: tuple[str, ...] | None = None
    """Every pair of these sites in both directions, and within each; an empty list means all sites."""

    @model_validator(mode="after")
    def _one_kind(self) -> DirectionSettings:
        kinds = [self.within is not None, bool(self.train or self.test), self.leave_one_out is not None,
                 self.matrix is not None]
        if sum(kinds) != 1 or bool(self.train) != bool(self.test):
            raise ValueError("give one of: within; train and test; leave_one_out; matrix")
        if both := set(self.train) & set(self.test):
            raise ValueError(f"{', '.join(sorted(both))} is trained and tested on: use within")
        return self


class TaskSettings(Settings):
    """What is to be predicted, and how it is learnt. Either `segment` or `classify`."""

    data: str
    """Which of the study's data."""
    segment: dict[str, Any] | None = None
    """Settings of `workbench segment` that hold for every arm."""
    classify: dict[str, Any] | None = None
    """Settings of `workbench classify` that hold for every arm."""
    directions: tuple[DirectionSettings, ...] = (DirectionSettings(within=()),)
    """Directions of transfer."""
    fractions: tuple[float, ...] = (1.0,)
    """Shares of the training people whose labels are used."""
    learning_rates: tuple[float, ...] = ()
    """Candidates; each arm takes the one that is best on the validation people, who are the same for all arms, after
    the same number of steps. One or none: nothing is chosen."""
    folds: int | None = Field(None, ge=2)
    """Folds of this task, where they are not the study's."""

    @model_validator(mode="after")
    def _one_kind(self) -> TaskSettings:
        if (self.segment is None) == (self.classify is None):
            raise ValueError("give segment or classify, one of them")
        if not self.directions or not self.fractions:
            raise ValueError("directions and fractions may not be empty")
        if any(not 0 < f <= 1 for f in self.fractions):
            raise ValueError("fractions are above 0 and at most 1")
        return self

    @property
    def job(self) -> Literal["segment", "classify"]:
        return "segment" if self.segment is not None else "classify"

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.segment if self.segment is not None else self.classify or {})


class StudyConfig(JobConfig):
    """Run a whole study: prepare, pretrain every arm, fine-tune every cell, compare, and write one report.

    `workbench compare study.yaml --out DIR`. A finished cell is never run again unless its key (settings and inputs)
    changes; the same command continues after Ctrl-C or a kill. Exit status: 0 all cells are well, 1 some failed (the
    report says which), 2 refused before anything started, 130 stopped.
    """

    job: ClassVar[str] = "compare"
    extends: ClassVar[bool] = True

    title: str = "Comparison of encoders"
    """Of the report."""
    data: dict[str, DataSettings] = Field(min_length=1)
    """The scans, by a name that the tasks use."""
    pretrain: Values = Field(default_factory=dict)
    """Settings of `workbench pretrain` that every arm shares."""
    arms: dict[str, ArmSettings | None] = Field(min_length=1)
    """The arms by name; null is the architecture with random weights."""
    compares: tuple[str, ...] = ("pretrain.objective",)
    """What arms may differ in, as `pretrain.SETTING`, `segment.SETTING`, `classify.SETTING` or `encoder` (one made
    elsewhere). An arm that differs in anything else is refused before anything starts."""
    tasks: dict[str, TaskSettings] = Field(min_length=1)
    """The tasks by name."""
    reference: str = "random"
    """The arm that every other one is compared with."""
    contrasts: tuple[tuple[str, str], ...] = ()
    """Further pairs of arms to compare."""
    seeds: tuple[int, ...] = (0,)
    """Repeats of pretraining (for random weights: other weights). Their variation is in the intervals."""
    finetune_seeds: tuple[int, ...] = (0,)
    """Repeats of fine-tuning on each encoder, averaged for each person."""
    folds: int = Field(5, ge=2)
    """Folds of people: within sites each is the test once; between sites each is the validation once."""
    run_folds: int | None = Field(None, ge=1)
    """Run only so many of the folds; none runs all."""
    validation: float = Field(0.15, gt=0, lt=0.9)
    """Share of the training people that chooses learning rates, where no fold does."""
    stratify: tuple[str, ...] = ("site", "sex")
    """Columns kept alike over folds and validation; one that is not there is left out."""
    split_seed: int = Field(0, ge=0)
    """Seed of folds and validation people, and of the labels of a share."""
    transductive: bool = False
    """Allow test people whom pretraining has seen (an encoder made elsewhere); every number is then marked so."""
    worst: int = Field(3, ge=0, le=20)
    """Worst cases of each arm that the report lists."""

    # how, not what
    workers: int = Field(1, ge=1, exclude=True)
    """Cells at the same time; the cores are shared out among them."""

    @model_validator(mode="after")
    def _check_names(self) -> StudyConfig:
        for name, task in self.tasks.items():
            if task.data not in self.data:
                raise ValueError(f"tasks.{name}.data: {task.data!r} is none of {', '.join(self.data)}")
        for a in [self.reference, *(arm for pair in self.contrasts for arm in pair)]:
            if a not in self.arms:
                raise ValueError(f"{a!r} is not an arm; arms: {', '.join(self.arms)}")
        for name, arm in self.each_arm().items():
            if missing := set(arm.tasks) - set(self.tasks):
                raise ValueError(f"arms.{name}.tasks: there is no task {', '.join(sorted(missing))}")
        if self.run_folds and self.run_folds > self.folds:
            raise ValueError(f"run_folds: there are {self.folds} folds")
        for name in ("seeds", "finetune_seeds"):
            if len(set(getattr(self, name))) != len(getattr(self, name)) or not getattr(self, name):
                raise ValueError(f"{name}: at least one, and none twice")
        return self

    def each_arm(self) -> dict[str, ArmSettings]:
        return {name: arm or ArmSettings() for name, arm in self.arms.items()}

    def pairs(self) -> list[tuple[str, str]]:
        """Pairs that are compared, each as (a, b) for a − b."""
        first = [(name, self.reference) for name in self.arms if name != self.reference]
        return first + [pair for pair in self.contrasts if pair not in first]
