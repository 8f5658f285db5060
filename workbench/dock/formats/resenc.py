"""nnU-Net's residual encoder (dynamic-network-architectures), as nnssl and OpenMind train ResEnc-L."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from workbench.dock.translate import Asked, From, Translation, count, need
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
    rules: dict[str, From] = {}

    def unit(ours: str, theirs: str, *, bias: bool) -> None:
        rules[f"{ours}.conv.weight"] = From((f"{theirs}.conv.weight",))
        if bias:
            rules[f"{ours}.conv.bias"] = From((f"{theirs}.conv.bias",))
        for kind in ("weight", "bias"):
            rules[f"{ours}.norm.{kind}"] = From((f"{theirs}.norm.{kind}",))

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
    return Translation(shape, rules)
