"""Swin UNETR's encoder, alone (the SSL weights) or in the network."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from workbench.dock.translation import Asked, From, NotThisForm, Translation, count, mirrored, need
from workbench.model.foreign.conv import SwinShape

OLDER = {"mlp.linear1": "mlp.fc1", "mlp.linear2": "mlp.fc2"}  # as the SSL weights of 2022 have them


def translate(tensors: Mapping[str, Tensor], asked: Asked) -> Translation:
    features, channels = need(tensors, "patch_embed.proj.weight").shape[:2]
    tables = [need(tensors, f"layers{n}.0.blocks.0.attn.relative_position_bias_table").shape for n in (1, 2, 3, 4)]
    window = (round(tables[0][0] ** (1 / 3)) + 1) // 2
    if (2 * window - 1) ** 3 != tables[0][0]:
        raise NotThisForm(f"its windows of {tables[0][0]} places are no cubes")
    shape = SwinShape(
        **asked.base,
        channels=channels,
        feature_size=features,
        widths=tuple(features * 2**n for n in range(5)),
        depths=tuple(count(tensors, rf"layers{n}\.0\.blocks\.(\d+)\.norm1\.weight") for n in (1, 2, 3, 4)),
        window_heads=tuple(table[1] for table in tables),
        window=window,
        v2=any(name.startswith("layers1c.") for name in tensors),
        image_size=asked.image_size or 96,
    )
    rules = mirrored(shape, "net.", "")
    for ours, rule in rules.items():
        (name,) = rule.names
        for new, old in OLDER.items():
            if name not in tensors and (other := name.replace(new, old)) in tensors:
                rules[ours] = From((other,))
    return Translation(shape, rules)
