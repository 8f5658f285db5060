"""anatomix's U-Net: one list of layers, counted through."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from workbench.dock.translation import Asked, From, NotThisForm, Translation, need
from workbench.model.foreign.dense import DenseShape


def translate(tensors: Mapping[str, Tensor], asked: Asked) -> Translation:
    kernels = {
        int(name.split(".")[0]): value.shape
        for name, value in tensors.items()
        if name.endswith(".weight") and value.ndim == 5
    }
    full, channels = need(tensors, "0.weight").shape[:2]
    order = sorted(kernels)
    levels, rest = divmod(len(order) - 4, 4)  # stem, two a level down, two at the bottom, two a level up, the last
    if levels < 1 or rest or any(tuple(kernels[n][2:]) != (3, 3, 3) for n in order):
        raise NotThisForm(f"{len(order)} convolutions of 3x3x3 are no U-Net of anatomix")
    instance = "0.bias" in tensors
    shape = DenseShape(
        **asked.base,
        channels=channels,
        widths=(kernels[order[-1]][0], *(full * 2**n for n in range(1, levels + 1))),
        norm="instance" if instance else "batch",
        # the larger one, which is trained with instance norm, is built otherwise in these too
        eps=1e-2 if instance else 1e-5,
        between="mean" if instance else "max",
        interpolation="trilinear" if instance else "nearest",
        image_size=asked.image_size or 128,
    )
    names = ["stem", *(f"down.{level}.{i}" for level in range(levels + 1) for i in (0, 1))]
    names += [f"up.{level}.{i}" for level in range(levels) for i in (0, 1)]
    rules: dict[str, From] = {}
    for ours, place in zip(names, order, strict=False):
        rules[f"{ours}.conv.weight"] = From((f"{place}.weight",))
        if instance:
            rules[f"{ours}.conv.bias"] = From((f"{place}.bias",))
        else:
            for kind in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                rules[f"{ours}.norm.{kind}"] = From((f"{place + 1}.{kind}",))
    for kind in ("weight", "bias") if instance else ("weight",):
        rules[f"last.{kind}"] = From((f"{order[-1]}.{kind}",))
    return Translation(shape, rules)
