"""The settings of every job of a study: shared ones, then those of the data, then those of the arm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.analysis.config import AttendConfig, ProbeConfig, ReliabilityConfig, TokensConfig
from workbench.errors import ConfigError
from workbench.finetune.config import ClassifyConfig, FinetuneConfig, SegmentConfig
from workbench.pretrain.config import PretrainConfig
from workbench.runs import JobConfig
from workbench.study.settings.baselines import ARMS
from workbench.study.settings.config import StudyConfig
from workbench.study.settings.parts import ArmSettings, TaskSettings

OURS = {
    "out",
    "store",
    "split",
    "cohort",
    "encoder",
    "init",
    "train_sites",
    "test_sites",
    "label_fraction",
    "label_seed",
    "seed",
    "transductive",
    "predict",
}  # set for each cell; `encoder` of pretraining is another thing
NOWHERE = Path("not-yet")
FINETUNE: dict[str, type[FinetuneConfig]] = {"segment": SegmentConfig, "classify": ClassifyConfig}
LOOK: dict[str, type[JobConfig]] = {
    "tokens": TokensConfig,
    "attend": AttendConfig,
    "reliability": ReliabilityConfig,
    "probe": ProbeConfig,
}
LOOK_OURS = {"out", "store", "split", "encoder", "init", "seed", "runs", "scans", "seen", "against"}
NO_MAPS: dict[str, dict[str, Any]] = {
    "tokens": {"rgb": False, "sanity": False},
    "attend": {"heads": False},
    "probe": {"sanity": False, "labelled": (2,)},
}
"""What a look leaves out in a study unless it is asked for: maps that nobody looks at, and random weights beside, which
are an arm of their own."""


def merged(*layers: dict[str, Any]) -> dict[str, Any]:
    """Later layers win, group by group. A group with another ``name`` (an objective) is taken whole."""
    out: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = out.get(key)
            if (
                isinstance(old, dict)
                and isinstance(value, dict)
                and value.get("name", old.get("name")) == old.get("name")
            ):
                out[key] = merged(old, value)
            else:
                out[key] = value
    return out


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Groups opened, by dotted names."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        out.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return out


def pretrain_config(study: StudyConfig, data: str, arm: ArmSettings | None, **ours: Any) -> PretrainConfig:
    """Of an arm on some data; of no arm: what is shared."""
    layers = merged(study.pretrain, study.data[data].pretrain, (arm.pretrain or {}) if arm else {})
    _refuse(layers, OURS - {"encoder"}, "pretrain")
    return PretrainConfig.build({**layers, "out": NOWHERE, "store": NOWHERE, **ours})


def finetune_config(
    study: StudyConfig, task: TaskSettings, arm: ArmSettings | None, *, name: str = "", **ours: Any
) -> FinetuneConfig:
    """Of an arm in a task; of no arm: what is shared. By the ``name`` of a baseline its own settings are found."""
    own = {} if arm is None else arm.segment if task.job == "segment" else arm.classify
    baseline = ARMS.get(name)
    layers = merged(task.settings, own) if baseline is None else baseline.classify(task.settings)
    _refuse(layers, OURS, task.job)
    kind = FINETUNE[task.job]
    if task.learning_rates and baseline is None:
        if "learning_rate" in layers:
            raise ConfigError("learning_rate and learning_rates are both given", remedy="keep one of them")
        layers["learning_rate"] = task.learning_rates[0]
    values = {
        **layers,
        "out": NOWHERE,
        "store": NOWHERE,
        "split": NOWHERE,
        "encoder": NOWHERE,
        "init": "random",
        "label_seed": study.split_seed,
        "transductive": study.transductive,
        **ours,
    }
    return kind.build(values)


def look_config(study: StudyConfig, task: TaskSettings, **ours: Any) -> JobConfig:
    """Of a task that looks into an encoder: the same for every arm."""
    _refuse(task.settings, LOOK_OURS, task.job)
    extra = {"seen": study.transductive} if task.job == "reliability" else {}
    values = {**NO_MAPS.get(task.job, {}), **task.settings, **extra}
    if task.job == "probe" and len(values["labelled"]) != 1:
        raise ConfigError(
            f"probe.labelled: {values['labelled']}",
            cause="numbers of people would be averaged over",
            remedy="give one number, and a task for each",
        )
    paths = {"out": NOWHERE, "store": NOWHERE, "split": NOWHERE, "encoder": NOWHERE}
    return LOOK[task.job].build({**values, **paths, "init": "random", **ours})


def task_config(study: StudyConfig, task: TaskSettings, arm: ArmSettings | None, name: str = "") -> JobConfig:
    """Of an arm in a task of any kind; of no arm: what is shared."""
    return look_config(study, task) if task.looks else finetune_config(study, task, arm, name=name)


def uses_encoder(study: StudyConfig, task: TaskSettings, arm: ArmSettings, name: str = "") -> bool:
    return task.looks or finetune_config(study, task, arm, name=name).uses_encoder


def takes_part(study: StudyConfig, name: str, task: str) -> bool:
    """Whether an arm is in a task: one without an encoder of its own (a U-Net, a volume) has nothing to look into, one
    made elsewhere may have no attention, and a baseline predicts."""
    arm = study.each_arm()[name]
    if name in ARMS:
        return study.tasks[task].job == "classify"
    if study.tasks[task].looks and not arm.pretrained and (arm.segment or arm.classify):
        return False
    if lacks_attention(study, name) and study.tasks[task].job == "attend":
        return False
    return not arm.tasks or task in arm.tasks


def lacks_attention(study: StudyConfig, arm: str) -> bool:
    """Whether it is an encoder made elsewhere that has no attention that can be shown."""
    encoder = study.each_arm()[arm].encoder
    if encoder is None:
        return False
    from workbench.model.export import read_card

    return read_card(encoder).config.heads == 0


def _refuse(values: dict[str, Any], names: set[str], job: str) -> None:
    if set_by_us := sorted(names & set(values)):
        raise ConfigError(
            f"{job}: {', '.join(set_by_us)} may not be set in a study",
            cause="the study sets it for each cell",
            remedy="take it out; see seeds, directions",
        )
