"""The parts of a study's settings: data, arms, directions of transfer, tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from workbench.runs import Settings

LOOKS = ("tokens", "attend", "reliability", "probe")
"""Jobs that look into an encoder and train none of it: shares of labels and learning rates have no place in them."""
TASKS = ("segment", "classify", *LOOKS)
"""What a task can be: the settings of one of these jobs."""


class DataSettings(Settings):
    """Scans that are prepared alike: from their sources, or a cohort or store that is there."""

    simulate: dict[str, Any] | None = None
    """Settings of `workbench simulate`, for a study on simulated people."""
    sources: tuple[Path, ...] = ()
    """Data sets as `workbench cohort` takes them."""
    cohort: Path | None = None
    """In place of sources: the out folder of `workbench cohort`."""
    store: Path | None = None
    """In place of both: the out folder of `workbench prepare`."""
    segmentations: str | None = None
    """Setting of `workbench cohort`."""
    gather: dict[str, Any] = Field(default_factory=dict)
    """Further settings of `workbench cohort`, such as `same_people`."""
    prepare: dict[str, Any] = Field(default_factory=dict)
    """Settings of `workbench prepare`, such as spacing."""
    pretrain: dict[str, Any] = Field(default_factory=dict)
    """Settings of `workbench pretrain` that suit these scans (crop, epochs); they hold for every arm."""
    pretrain_sites: tuple[str, ...] = ()
    """Sites for pretraining alone: one pretraining on their people serves every direction and fold. Whoever has scans
    at another site too is kept out of it. Empty: pretraining sees the training side of each direction and fold, and is
    done again for each."""
    pretrained_on: str = ""
    """Other data of the study whose people encoders are pretrained on, once for every direction and fold; nobody may be
    in both. Empty: on these."""

    @model_validator(mode="after")
    def _one_origin(self) -> DataSettings:
        given = [name for name in ("simulate", "sources", "cohort", "store") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"give one of simulate, sources, cohort, store; given: {', '.join(given) or 'none'}")
        if self.store and self.prepare:
            raise ValueError("prepare: the store is prepared already")
        if self.segmentations and not (self.sources or self.simulate):
            raise ValueError("segmentations: read with sources only")
        if self.gather and not (self.sources or self.simulate):
            raise ValueError("gather: read with sources only")
        if self.pretrained_on and (self.pretrain or self.pretrain_sites):
            raise ValueError(
                "pretrained_on: these people are not pretrained on, so pretrain and pretrain_sites say nothing"
            )
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
    seeds: tuple[int, ...] = ()
    """Those of the study's pretraining seeds that this arm runs; empty means all. Two arms are compared over the seeds
    that both have."""

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
        kinds = [
            self.within is not None,
            bool(self.train or self.test),
            self.leave_one_out is not None,
            self.matrix is not None,
        ]
        if sum(kinds) != 1 or bool(self.train) != bool(self.test):
            raise ValueError("give one of: within; train and test; leave_one_out; matrix")
        if both := set(self.train) & set(self.test):
            raise ValueError(f"{', '.join(sorted(both))} is trained and tested on: use within")
        return self


class TaskSettings(Settings):
    """What is to be predicted and how it is learnt (`segment`, `classify`), or what is looked for in the encoder
    (`tokens`, `attend`, `reliability`, `probe`): the settings of one of these jobs."""

    data: str
    """Which of the study's data."""
    segment: dict[str, Any] | None = None
    """Settings of `workbench segment` that hold for every arm."""
    classify: dict[str, Any] | None = None
    """Settings of `workbench classify` that hold for every arm."""
    tokens: dict[str, Any] | None = None
    """Settings of `workbench tokens`: does the token of a structure find it in other people?"""
    attend: dict[str, Any] | None = None
    """Settings of `workbench attend`: how much attention leaves the brain, and how much a region gets."""
    reliability: dict[str, Any] | None = None
    """Settings of `workbench reliability`: are people known again who were scanned several times?"""
    probe: dict[str, Any] | None = None
    """Settings of `workbench probe`: does a linear model of the frozen tokens find a structure, learnt from few people?
    `labelled` is one number here, 2 unless set."""
    directions: tuple[DirectionSettings, ...] = (DirectionSettings(within=()),)
    """Directions of transfer."""
    fractions: tuple[float, ...] = (1.0,)
    """Shares of the training people whose labels are used."""
    learning_rates: tuple[float, ...] = ()
    """Candidates; each arm takes the one that is best on the validation people, who are the same for all arms, after
    the same number of steps. One or none: nothing is chosen."""
    folds: int | None = Field(None, ge=2)
    """Folds of this task, where they are not the study's."""
    seeds: tuple[int, ...] = ()
    """Those of the study's pretraining seeds that this task runs; empty means all. A costly task may have fewer."""
    margin: float | None = Field(None, gt=0)
    """The largest difference of the task's main measure, in its own unit (0.02 of a Dice), that does not matter. Beside
    every difference it is then told whether the arms are equivalent within it (two one-sided tests)."""

    @model_validator(mode="after")
    def _one_kind(self) -> TaskSettings:
        given = [name for name in TASKS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join(TASKS)}; given: {', '.join(given) or 'none'}")
        if self.looks and (self.fractions != (1.0,) or self.learning_rates):
            raise ValueError(
                f"{given[0]}: no share of labels is learnt from, so fractions and learning_rates say nothing"
            )
        if not self.directions or not self.fractions:
            raise ValueError("directions and fractions may not be empty")
        if any(not 0 < f <= 1 for f in self.fractions):
            raise ValueError("fractions are above 0 and at most 1")
        return self

    @property
    def job(self) -> str:
        return next(name for name in TASKS if getattr(self, name) is not None)

    @property
    def looks(self) -> bool:
        """Whether it looks into an encoder, and nothing is learnt."""
        return self.job in LOOKS

    @property
    def settings(self) -> dict[str, Any]:
        return dict(getattr(self, self.job))
