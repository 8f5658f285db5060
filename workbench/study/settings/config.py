"""Settings of the job `compare`: the whole study in one file."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from workbench.runs import JobConfig
from workbench.runs.config import Values
from workbench.runs.slurm import SlurmSettings
from workbench.study.settings.baselines import ARMS, BASELINES, MARK
from workbench.study.settings.parts import ArmSettings, DataSettings, TaskSettings


def _names(value: Any) -> Any:
    """One name that came from a flag is a list of one."""
    return (value,) if isinstance(value, str) and value != "all" else value


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
    baselines: Annotated[Literal["all"] | tuple[str, ...], BeforeValidator(_names)] = ()
    """Further arms in every task that is `classify`, marked as baselines: `all`, or some of structure volumes,
    untrained CNN, brain volume, voxel PCA. They need no encoder; each reads of a task's settings what it can use."""
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
    """Worst cases of each arm that the report shows, as pictures."""

    # how, not what
    workers: int = Field(1, ge=1, exclude=True)
    """Cells at the same time; the cores are shared out among them."""
    executor: Literal["here", "slurm"] = Field("here", exclude=True)
    """Where cells are run: in processes of this machine, or each as a job of Slurm, at most `slurm.at_once` at a time,
    submitted when what it needs has ended."""
    slurm: SlurmSettings = Field(default_factory=SlurmSettings, exclude=True)
    """What each cell asks of Slurm."""
    minutes: float | None = Field(None, gt=0, exclude=True)
    """Stop after so many minutes, the cells that a report needs first having been run first; tables and report are then
    of what is done, and say what was not run. The same command goes on. Preparing the data is not cut short."""

    @property
    def processes(self) -> int:
        """Of a job that uses several by itself."""
        return self.slurm.cpus if self.executor == "slurm" else self.workers

    @property
    def at_once(self) -> int:
        """Cells at the same time."""
        return self.slurm.at_once if self.executor == "slurm" else self.workers

    @model_validator(mode="after")
    def _check_names(self) -> StudyConfig:
        for name, task in self.tasks.items():
            if task.data not in self.data:
                raise ValueError(f"tasks.{name}.data: {task.data!r} is none of {', '.join(self.data)}")
            if extra := [seed for seed in task.seeds if seed not in self.seeds]:
                raise ValueError(f"tasks.{name}.seeds: {extra[0]} is not one of the study's seeds")
            if len(set(task.seeds)) != len(task.seeds):
                raise ValueError(f"tasks.{name}.seeds: none twice")
        for name, data in self.data.items():
            if (other := data.pretrained_on) and (other not in self.data or self.data[other].pretrained_on):
                raise ValueError(f"data.{name}.pretrained_on: {other!r} is no data that is pretrained on")
        if self.baselines and not any(task.classify is not None for task in self.tasks.values()):
            raise ValueError("baselines: they predict, and no task is `classify`")
        named = BASELINES if self.baselines == "all" else self.baselines
        if odd := [name for name in named if name not in BASELINES]:
            raise ValueError(f"baselines: there is no {', '.join(odd)}; there are: all, {', '.join(BASELINES)}")
        if taken := [name for name in self.arms if name.startswith(MARK)]:
            raise ValueError(f"arms.{taken[0]}: names that begin with '{MARK}' are those of `baselines`")
        for a in [self.reference, *(arm for pair in self.contrasts for arm in pair)]:
            if a not in self.each_arm():
                raise ValueError(f"{a!r} is not an arm; arms: {', '.join(self.each_arm())}")
        for name, arm in self.each_arm().items():
            if missing := set(arm.tasks) - set(self.tasks):
                raise ValueError(f"arms.{name}.tasks: there is no task {', '.join(sorted(missing))}")
            if extra := [seed for seed in arm.seeds if seed not in self.seeds]:
                raise ValueError(f"arms.{name}.seeds: {extra[0]} is not one of the study's seeds")
            for one in arm.tasks or self.tasks:
                if not self.seeds_of(one, name):
                    raise ValueError(f"arms.{name}.seeds: none of them is run in the task {one}")
        for a, b in self.pairs():
            if not set(self.seeds_of_arm(a)) & set(self.seeds_of_arm(b)):
                raise ValueError(f"arms {a} and {b} have no seed in common, so that they cannot be compared")
        if self.run_folds and self.run_folds > self.folds:
            raise ValueError(f"run_folds: there are {self.folds} folds")
        for name in ("seeds", "finetune_seeds"):
            if len(set(getattr(self, name))) != len(getattr(self, name)) or not getattr(self, name):
                raise ValueError(f"{name}: at least one, and none twice")
        return self

    def each_arm(self) -> dict[str, ArmSettings]:
        """By name, in the order of tables; those of ``baselines`` are the last."""
        mine = {name: arm or ArmSettings() for name, arm in self.arms.items()}
        return mine | {arm: ArmSettings(classify={"mode": ARMS[arm].mode}) for arm in self.baseline_arms()}

    def baseline_arms(self) -> list[str]:
        names = BASELINES if self.baselines == "all" else self.baselines
        return [one.arm for name, one in BASELINES.items() if name in names]

    def given_arms(self) -> list[str]:
        """Arms with one encoder that was made elsewhere: seeds repeat their fine-tuning, not their pretraining."""
        return [name for name, arm in self.each_arm().items() if arm.encoder is not None]

    def seeds_of_arm(self, arm: str) -> tuple[int, ...]:
        """Pretraining seeds of an arm."""
        return self.each_arm()[arm].seeds or self.seeds

    def seeds_of(self, task: str, arm: str | None = None) -> tuple[int, ...]:
        """Pretraining seeds that a task runs, of an arm if one is named."""
        mine = self.tasks[task].seeds or self.seeds
        return mine if arm is None else tuple(seed for seed in mine if seed in self.seeds_of_arm(arm))

    def fewer_seeds(self) -> dict[str, int]:
        """How many pretraining seeds a task runs, of those that do not run all."""
        counts = {name: len(self.seeds_of(name)) for name in self.tasks}
        return {name: n for name, n in counts.items() if n < len(self.seeds)}

    def pairs(self) -> list[tuple[str, str]]:
        """Pairs that are compared, each as (a, b) for a − b."""
        first = [(name, self.reference) for name in self.each_arm() if name != self.reference]
        return first + [pair for pair in self.contrasts if pair not in first]
