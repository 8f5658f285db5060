"""MONAI's ResNet-18 or -50, as 3D-Neuro-SimCLR trains it: without stride in the stem, a pooling after it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from workbench.dock.translation import Asked, Translation, count, mirrored, need
from workbench.model.foreign.conv import ResNetShape


def translate(tensors: Mapping[str, Tensor], asked: Asked) -> Translation:
    bottleneck = "layer1.0.conv3.weight" in tensors
    shape = ResNetShape(
        **asked.base,
        channels=need(tensors, "conv1.weight").shape[1],
        widths=tuple(n * (4 if bottleneck else 1) for n in (64, 128, 256, 512)),
        layers=tuple(count(tensors, rf"layer{n}\.(\d+)\.conv1\.weight") for n in (1, 2, 3, 4)),
        bottleneck=bottleneck,
        image_size=asked.image_size or 160,
    )
    return Translation(shape, mirrored(shape, "net.", ""))
