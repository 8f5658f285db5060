"""Primus (dynamic-network-architectures): an EVA-02 transformer on patches of 8, learned and rotary positions, as nnssl
and OpenMind train it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from workbench.dock.translation import Asked, From, Translation, count, cube_edge, need
from workbench.model.config import triple
from workbench.model.foreign.vit import VitShape

STEM = "down_projection.stem.blocks.0"
HEADS = {396: 6, 792: 12, 864: 12, 1056: 16}  # Primus-S, B, M, L


def translate(tensors: Mapping[str, Tensor], asked: Asked, *, tokeniser_eps: float = 1e-5) -> Translation:
    residual = f"{STEM}.conv1.conv.weight" in tensors  # Primus V2
    if residual:
        width, patch = need(tensors, "down_projection.final_proj.weight").shape[0], (8, 8, 8)
        first, channels = need(tensors, f"{STEM}.conv1.conv.weight").shape[:2]
    else:
        width, channels, *sizes = need(tensors, "down_projection.proj.weight").shape
        patch, first = (sizes[0], sizes[1], sizes[2]), 32
    places = need(tensors, "eva.pos_embed")
    registers = tensors["register_tokens"].shape[1] if "register_tokens" in tensors else 0
    if asked.image_size is None:
        edge = cube_edge(places.shape[1] - registers, "places")
        size = (edge * patch[0], edge * patch[1], edge * patch[2])
    else:
        size = triple(asked.image_size)
    shape = VitShape(
        **asked.base,
        width=width,
        depth=count(tensors, r"eva\.blocks\.(\d+)\.norm1\.weight"),
        heads=asked.heads or HEADS.get(width, max(1, width // 66)),
        hidden=need(tensors, "eva.blocks.0.mlp.fc1_g.weight").shape[0],
        patch=patch,
        image_size=size,
        channels=channels,
        tokeniser="residual" if residual else "patch",
        tokeniser_width=first,
        tokeniser_eps=tokeniser_eps,
        rotary=True,
        registers=registers,
        layer_scale="eva.blocks.0.gamma_1" in tensors,
        mlp="swiglu",
        inner_norm="eva.blocks.0.attn.norm.weight" in tensors,
        qk_norm="eva.blocks.0.attn.q_norm.weight" in tensors,
    )
    grid = shape.grid_xyz
    rules = {
        "positions": From(("eva.pos_embed",), lambda places: places[:, registers:].transpose(1, 2).unflatten(2, grid)),
        "norm.weight": From(("eva.norm.weight",)),
        "norm.bias": From(("eva.norm.bias",)),
    }
    if residual:
        rules |= _tokeniser()
    for kind in ("weight", "bias"):
        ours, theirs = ("embed.4", "final_proj") if residual else ("embed", "proj")
        rules[f"{ours}.{kind}"] = From((f"down_projection.{theirs}.{kind}",))
    if registers:
        rules["registers"] = From(
            ("register_tokens", "eva.pos_embed"), lambda tokens, places: tokens + places[:, :registers]
        )
    for i in range(shape.depth):
        name, ours = f"eva.blocks.{i}", f"blocks.{i}"
        attn = f"{name}.attn"
        rules[f"{ours}.attn.qkv.weight"] = From(
            (f"{attn}.q_proj.weight", f"{attn}.k_proj.weight", f"{attn}.v_proj.weight"), _side_by_side
        )
        rules[f"{ours}.attn.qkv.bias"] = From((f"{attn}.q_proj.bias", f"{attn}.v_proj.bias"), _without_k)
        pairs = [
            ("norm1", "norm1"),
            ("norm2", "norm2"),
            ("attn.proj", "attn.proj"),
            ("mlp.gate", "mlp.fc1_g"),
            ("mlp.value", "mlp.fc1_x"),
            ("mlp.norm", "mlp.norm"),
            ("mlp.out", "mlp.fc2"),
        ]
        pairs += [("attn.norm", "attn.norm")] if shape.inner_norm else []
        pairs += [("attn.placed.norm_q", "attn.q_norm"), ("attn.placed.norm_k", "attn.k_norm")] if shape.qk_norm else []
        for mine, theirs in pairs:
            for kind in ("weight", "bias"):
                rules[f"{ours}.{mine}.{kind}"] = From((f"{name}.{theirs}.{kind}",))
        if shape.layer_scale:
            rules[f"{ours}.scale1"] = From((f"{name}.gamma_1",))
            rules[f"{ours}.scale2"] = From((f"{name}.gamma_2",))
    return Translation(shape, rules)


def _tokeniser() -> dict[str, From]:
    """The stem, whose convolutions have a bias, and three blocks that halve."""
    rules: dict[str, From] = {}
    for place, block in enumerate((STEM, *(f"down_projection.stages.{n}.blocks.0" for n in range(3)))):
        # the second block keeps its width, so that only a pooling leads around it
        skip = {0: ["skip.0"], 1: [], 2: ["skip.1"], 3: ["skip.1"]}[place]
        units = [("first", "conv1"), ("second", "conv2"), *(("around", name) for name in skip)]
        for ours, theirs in units:
            names = ["conv.weight", "norm.weight", "norm.bias"]
            names += ["conv.bias"] if place == 0 and ours != "around" else []
            rules |= {f"embed.{place}.{ours}.{name}": From((f"{block}.{theirs}.{name}",)) for name in names}
    return rules


def _side_by_side(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.cat([q, k, v])


def _without_k(q: Tensor, v: Tensor) -> Tensor:
    """Keys have no bias."""
    return torch.cat([q, torch.zeros_like(q), v])
