"""Arms of a comparison share every setting that is not compared: checked before anything starts, on whole settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from workbench.errors import ConfigError
from workbench.runs import JobConfig
from workbench.study.settings.baselines import ARMS
from workbench.study.settings.config import StudyConfig
from workbench.study.settings.crops import check_crops
from workbench.study.settings.layers import LOOK_OURS, OURS, flat, pretrain_config, takes_part, task_config


@dataclass(frozen=True)
class Setting:
    """One setting in full: of which job, its dotted name, the shared value, and where it is one, each arm's own."""

    group: str
    name: str
    shared: Any
    arms: dict[str, Any]


def check_fair(study: StudyConfig) -> list[Setting]:
    """Every setting of every job as each arm has it.

    Raises:
        ConfigError: a crop does not suit every arm; or an arm differs from the shared settings in something that
            ``compares`` does not name; it says which arm, which setting and both values, for all of them at once.
    """
    known = {"pretrain", "segment", "classify", "encoder"}
    if odd := [name for name in study.compares if name.split(".")[0] not in known]:
        raise ConfigError(
            f"compares: {', '.join(odd)}: no such setting",
            remedy="name pretrain.SETTING, segment.SETTING, classify.SETTING, or encoder",
        )
    table: list[Setting] = []
    for data in study.data:
        if study.data[data].pretrained_on:
            continue
        arms = {n: a for n, a in study.each_arm().items() if a.pretrain is not None}
        table += _differences(
            study,
            f"pretrain ({data})",
            "pretrain",
            pretrain_config(study, data, None),
            {n: pretrain_config(study, data, a) for n, a in arms.items()},
            {"out", "store", "split", "seed"},
        )
    for name, task in study.tasks.items():
        arms = {n: a for n, a in study.each_arm().items() if takes_part(study, n, name)}
        configs: dict[str, JobConfig] = {n: task_config(study, task, a, n) for n, a in arms.items()}
        table += _differences(
            study,
            f"{task.job} ({name})",
            task.job,
            task_config(study, task, None),
            configs,
            OURS | LOOK_OURS | ({"learning_rate"} if task.learning_rates else set()),
        )
    elsewhere = sorted(n for n, a in study.each_arm().items() if a.encoder is not None)
    unfair = [
        f"arm {arm}: {s.group.split()[0]}.{s.name} is {value!r}, the other arms have {s.shared!r}"
        for s in table
        for arm, value in s.arms.items()
        if arm not in ARMS and not _compared(study, s)  # a baseline differs in being one
    ]
    if elsewhere and "encoder" not in study.compares:
        unfair += [f"arm {arm}: encoder was made elsewhere, with settings of its own" for arm in elsewhere]
    if unfair:
        raise ConfigError(
            "the comparison is not fair: arms differ in settings that are not compared",
            cause="; ".join(dict.fromkeys(unfair)),
            remedy="give all arms the same value (in `pretrain` or the task), or, if this is what you "
            "want to compare, name it in `compares`",
        )
    check_crops(study)
    return table


def _compared(study: StudyConfig, setting: Setting) -> bool:
    full = f"{setting.group.split()[0]}.{setting.name}"
    return any(full == c or full.startswith(f"{c}.") for c in study.compares)


def _differences(
    study: StudyConfig, group: str, job: str, shared: JobConfig, arms: dict[str, Any], ignored: set[str]
) -> list[Setting]:
    base = flat(yaml.safe_load(shared.to_yaml()))
    own = {name: flat(yaml.safe_load(config.to_yaml())) for name, config in arms.items()}
    names = list(dict.fromkeys([*base, *(key for values in own.values() for key in values)]))
    return [
        Setting(
            group,
            key,
            base.get(key),
            {name: values.get(key) for name, values in own.items() if values.get(key) != base.get(key)},
        )
        for key in names
        if key != "job" and key not in ignored
    ]
