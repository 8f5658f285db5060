"""DINOv2 in 3D (3DINO): CLS, learned positions, blocks that may be in chunks."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from workbench.dock.translation import Asked, From, NotThisForm, Translation, cube_edge, need, usual_heads
from workbench.model.config import triple
from workbench.model.foreign.vit import VitShape

BLOCK = re.compile(r"blocks\.(?:\d+\.)?(\d+)\.norm1\.weight")


def translate(tensors: Mapping[str, Tensor], asked: Asked) -> Translation:
    embed = need(tensors, "patch_embed.proj.weight")
    if embed.ndim != 5:
        raise NotThisForm("patch_embed.proj.weight is not of three dimensions")
    width, channels, *sizes = embed.shape
    patch = (sizes[0], sizes[1], sizes[2])
    places = need(tensors, "pos_embed")
    need(tensors, "cls_token")
    blocks = {int(m.group(1)): m.group(0).removesuffix(".norm1.weight") for n in tensors if (m := BLOCK.fullmatch(n))}
    if not blocks or set(blocks) != set(range(len(blocks))):
        raise NotThisForm("no tensors are named blocks.N.norm1.weight")
    first = blocks[0]
    if asked.image_size is None:
        edge = cube_edge(places.shape[1] - 1, "places")
        size = (edge * patch[0], edge * patch[1], edge * patch[2])
    else:
        size = triple(asked.image_size)
    shape = VitShape(
        **asked.base,
        width=width,
        depth=len(blocks),
        heads=usual_heads(width, asked.heads),
        hidden=need(tensors, f"{first}.mlp.fc1.weight").shape[0],
        patch=patch,
        image_size=size,
        channels=channels,
        cls=True,
        qkv_bias=f"{first}.attn.qkv.bias" in tensors,
        eps=1e-6,
        layer_scale=f"{first}.ls1.gamma" in tensors,
    )
    grid = shape.grid_xyz
    rules = {
        "embed.weight": From(("patch_embed.proj.weight",)),
        "embed.bias": From(("patch_embed.proj.bias",)),
        # CLS has a position, too, which is all the same for all
        "cls": From(("cls_token", "pos_embed"), lambda cls, places: cls + places[:, :1]),
        "positions": From(("pos_embed",), lambda places: places[:, 1:].transpose(1, 2).unflatten(2, grid)),
        "norm.weight": From(("norm.weight",)),
        "norm.bias": From(("norm.bias",)),
    }
    for i, name in blocks.items():
        for ours, theirs in (
            ("norm1", "norm1"),
            ("attn.qkv", "attn.qkv"),
            ("attn.proj", "attn.proj"),
            ("norm2", "norm2"),
            ("mlp.0", "mlp.fc1"),
            ("mlp.2", "mlp.fc2"),
        ):
            for kind in ("weight", "bias") if shape.qkv_bias or ours != "attn.qkv" else ("weight",):
                rules[f"blocks.{i}.{ours}.{kind}"] = From((f"{name}.{theirs}.{kind}",))
        if shape.layer_scale:
            rules[f"blocks.{i}.scale1"] = From((f"{name}.ls1.gamma",))
            rules[f"blocks.{i}.scale2"] = From((f"{name}.ls2.gamma",))
    return Translation(shape, rules)
