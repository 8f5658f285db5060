"""One crop for all arms of a segmentation: what each network takes is known before anything starts."""

from __future__ import annotations

from workbench.errors import ConfigError
from workbench.finetune.config import SegmentConfig
from workbench.model.config import triple
from workbench.study.settings.config import StudyConfig
from workbench.study.settings.layers import finetune_config, pretrain_config, takes_part
from workbench.study.settings.parts import ArmSettings


def check_crops(study: StudyConfig) -> None:
    """Every arm of a segmentation takes the task's crop, or, where none is set, has the same of its own.

    Raises:
        ConfigError: for which arms it does not suit and why, and the smallest crop that suits all.
    """
    for name, task in study.tasks.items():
        if task.segment is not None:
            _check_task(study, name)


def _check_task(study: StudyConfig, name: str) -> None:
    from workbench.finetune.networks import Taken, common_crop, crop_word, crops_taken
    from workbench.model.contract import Shape
    from workbench.model.export import read_card

    task = study.tasks[name]
    taken: dict[str, Taken] = {}
    crops: dict[str, tuple[int, int, int]] = {}
    own: list[tuple[int, int, int]] = []

    def shape_of(arm: ArmSettings, needed: bool) -> Shape:
        if arm.encoder is not None and needed:
            return read_card(arm.encoder).config
        data = study.data[task.data].pretrained_on or task.data
        return pretrain_config(study, data, arm if needed else None).encoder

    for arm_name, arm in study.each_arm().items():
        if not takes_part(study, arm_name, name):
            continue
        config = finetune_config(study, task, arm)
        assert isinstance(config, SegmentConfig)
        shape = shape_of(arm, config.uses_encoder)
        taken[arm_name] = crops_taken(config.network, shape if config.uses_encoder else None)
        crops[arm_name] = shape.size_xyz if config.crop is None else triple(config.crop)
        own.append(shape.size_xyz)
    wrong = [f"{arm}: {why}" for arm, one in taken.items() if (why := one.refusal(crops[arm]))]
    if not wrong and len(set(crops.values())) == 1:
        return
    asked = sorted({crop_word(crop) for crop in crops.values()})
    if not wrong:
        wrong = [f"{arm} was trained on {crop_word(crop)}" for arm, crop in crops.items()]
    suits = common_crop(list(taken.values()), list(crops.values()) if len(asked) == 1 else own)
    told = crop_word(suits) if len(set(suits)) == 1 else list(suits)
    raise ConfigError(
        f"task {name}: crop {', '.join(asked)} does not suit every arm"
        if len(asked) == 1
        else f"task {name}: no crop is set, and arms would have crops of their own ({', '.join(asked)})",
        cause="; ".join(wrong),
        remedy=f"set `crop: {told}` in its segment settings, which all arms take",
    )
