"""nnU-Net's residual encoder (dynamic-network-architectures), as nnssl and OpenMind train ResEnc-L."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from workbench.dock.translation import Asked, From, Translation, count, need
from workbench.model.foreign.conv import ResEncShape


def translate(tensors: Mapping[str, Tensor], asked: Asked) -> Translation:
    levels = count(tensors, r"stages\.(\d+)\.blocks\.0\.conv1\.conv\.weight")
    shape = ResEncShape(
        **asked.base,
        channels=need(tensors, "stem.convs.0.conv.weight").shape[1],
        widths=tuple(need(tensors, f"stages.{n}.blocks.0.conv1.conv.weight").shape[0] for n in range(levels)),
        blocks=tuple(count(tensors, rf"stages\.{n}\.blocks\.(\d+)\.conv1\.conv\.weight") for n in range(levels)),
        bias="stem.convs.0.conv.bias" in tensors,
        image_size=asked.image_size or 160,
    )
    return Translation(shape, {ours: From((theirs,)) for ours, theirs in names_of(shape).items()})


def names_of(shape: ResEncShape) -> dict[str, str]:
    """Our name of each tensor → its name there."""
    names: dict[str, str] = {}

    def unit(ours: str, theirs: str, *, bias: bool) -> None:
        for part, kind in (
            ("conv", "weight"),
            *((("conv", "bias"),) if bias else ()),
            ("norm", "weight"),
            ("norm", "bias"),
        ):
            names[f"{ours}.{part}.{kind}"] = f"{theirs}.{part}.{kind}"

    unit("stem", "stem.convs.0", bias=shape.bias)
    before = [shape.widths[0], *shape.widths[:-1]]
    for level, blocks in enumerate(shape.blocks):
        for i in range(blocks):
            ours, theirs = f"stages.{level}.{i}", f"stages.{level}.blocks.{i}"
            unit(f"{ours}.first", f"{theirs}.conv1", bias=shape.bias)
            unit(f"{ours}.second", f"{theirs}.conv2", bias=shape.bias)
            if i == 0 and before[level] != shape.widths[level]:
                # behind the pooling, where there is one
                unit(f"{ours}.around", f"{theirs}.skip.{1 if level else 0}", bias=False)
    return names
