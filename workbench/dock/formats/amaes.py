"""The U-Net encoder of AMAES and of the FOMO25 baseline: two convolutions a level."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from workbench.dock.translation import Asked, From, Translation, need
from workbench.model.foreign.conv import PlainShape

STAGES = ("in_conv", "encoder_conv1", "encoder_conv2", "encoder_conv3", "encoder_conv4")


def translate(tensors: Mapping[str, Tensor], asked: Asked) -> Translation:
    shape = PlainShape(
        **asked.base,
        channels=need(tensors, "in_conv.conv1.conv.weight").shape[1],
        widths=tuple(need(tensors, f"{stage}.conv1.conv.weight").shape[0] for stage in STAGES),
        image_size=asked.image_size or 96,
    )
    rules = {
        f"stages.{level}.{unit}.{part}.{kind}": From((f"{stage}.conv{unit + 1}.{part}.{kind}",))
        for level, stage in enumerate(STAGES)
        for unit in (0, 1)
        for part in ("conv", "norm")
        for kind in ("weight", "bias")
    }
    return Translation(shape, rules)
