"""MONAI's ViT, alone or in UNETR: no CLS token unless it was made for classification."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from workbench.dock.translation import (
    Asked,
    From,
    Translation,
    count,
    cube_edge,
    grid_of_places,
    need,
    square_edge,
    usual_heads,
)
from workbench.model.config import triple
from workbench.model.foreign.slices import SliceShape
from workbench.model.foreign.vit import VitShape

EMBED, PLACES = "patch_embedding.patch_embeddings", "patch_embedding.position_embeddings"


def translate(tensors: Mapping[str, Tensor], asked: Asked) -> Translation:
    places = need(tensors, PLACES)
    width = places.shape[2]
    perceptron = f"{EMBED}.1.weight" in tensors
    flat = False  # of pictures: they are slices of a scan, a voxel thick
    if perceptron:
        edge = cube_edge(tensors[f"{EMBED}.1.weight"].shape[1], "voxels of a patch")
        channels, patch = 1, (edge, edge, edge)
    else:
        _, channels, *sizes = need(tensors, f"{EMBED}.weight").shape
        flat = len(sizes) == 2
        patch = (sizes[0], sizes[1], 1 if flat else sizes[2])
    if asked.image_size is not None:
        size = triple(asked.image_size)
        size = (size[0], size[1], 1) if flat else size
    elif flat:
        edge = square_edge(places.shape[1], "places")
        size = (edge * patch[0], edge * patch[1], 1)
    else:
        edge = cube_edge(places.shape[1], "places")
        size = (edge * patch[0], edge * patch[1], edge * patch[2])
    shape = VitShape(
        **(asked.base | ({"enlarge": 1, "intensities": "zscore"} if flat else {})),
        width=width,
        depth=count(tensors, r"blocks\.(\d+)\.attn\.qkv\.weight"),
        heads=usual_heads(width, asked.heads),
        hidden=need(tensors, "blocks.0.mlp.linear1.weight").shape[0],
        patch=patch,
        image_size=size,
        channels=channels,
        cls="cls_token" in tensors,
        qkv_bias="blocks.0.attn.qkv.bias" in tensors,
    )
    p, q, r = patch
    rules = {
        "embed.weight": From((f"{EMBED}.1.weight",), lambda w: w.view(-1, p, q, r, 1).permute(0, 4, 1, 2, 3))
        if perceptron
        else From((f"{EMBED}.weight",), lambda w: w.unsqueeze(-1) if flat else w),
        "embed.bias": From((f"{EMBED}.1.bias" if perceptron else f"{EMBED}.bias",)),
        "positions": From((PLACES,), lambda t: grid_of_places(t, shape.grid_xyz)),
        "norm.weight": From(("norm.weight",)),
        "norm.bias": From(("norm.bias",)),
    }
    if shape.cls:
        rules["cls"] = From(("cls_token",))
    for i in range(shape.depth):
        for ours, theirs in (
            ("norm1", "norm1"),
            ("attn.qkv", "attn.qkv"),
            ("attn.proj", "attn.out_proj"),
            ("norm2", "norm2"),
            ("mlp.0", "mlp.linear1"),
            ("mlp.2", "mlp.linear2"),
        ):
            for kind in ("weight", "bias") if shape.qkv_bias or ours != "attn.qkv" else ("weight",):
                rules[f"blocks.{i}.{ours}.{kind}"] = From((f"blocks.{i}.{theirs}.{kind}",))
    if not flat:
        return Translation(shape, rules)
    thick = asked.base["enlarge"]
    deep = max(size[0] // thick * thick, thick)
    slices = SliceShape(**asked.base, vit=shape, thick=thick, channels=channels, image_size=(size[0], size[1], deep))
    return Translation(slices, {f"of_slice.{ours}": rule for ours, rule in rules.items()})
