"""The ViTs of others: MONAI's, DINOv2's in 3D, and EVA's as Primus uses it, as one network with options.

Weights are in the workbench's own names; a format's table of keys brings them there. Shape suffixes as in
``model.vit``, and n for the tokens that blocks see: those of `Tokens` less the one that stands for CLS, where none is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from workbench.model.config import triple
from workbench.model.contract import AnyEncoder, Tokens
from workbench.model.foreign.conv import ResidualBlock
from workbench.model.foreign.shape import ForeignShape, taken_in
from workbench.volumes.volume import Triple


class VitShape(ForeignShape):
    """A ViT made elsewhere."""

    family: Literal["vit"] = "vit"
    width: int = Field(768, ge=8, le=4096)
    depth: int = Field(12, ge=1, le=64)
    heads: int = Field(12, ge=1, le=64)
    hidden: int = Field(3072, ge=8, le=16384)
    """Width of the MLP."""
    patch: int | Triple = 16
    tokeniser: Literal["patch", "residual"] = "patch"
    """How patches become tokens: one linear map, or residual convolutions that halve three times (Primus V2)."""
    tokeniser_width: int = Field(32, ge=4, le=128)
    """Channels of the first of these."""
    tokeniser_eps: float = Field(1e-5, gt=0, lt=0.1)
    """Of their norms."""
    positions: Literal["learned", "none"] = "learned"
    """One learned vector a place of the training crop, stretched over other grids."""
    rotary: bool = False
    """Also rotary positions in steps of a token (EVA-02)."""
    cls: bool = False
    """Whether it has a CLS token."""
    pooled: Literal["mean", "first"] = "mean"
    """What takes the place of CLS where it has none: the mean of its tokens, or that of the first patch."""
    registers: int = Field(0, ge=0, le=32)
    qkv_bias: bool = True
    eps: float = Field(1e-5, gt=0, lt=1e-2)
    """Of its norms."""
    layer_scale: bool = False
    mlp: Literal["gelu", "swiglu"] = "gelu"
    inner_norm: bool = False
    """A norm of what heads give before it is projected."""
    qk_norm: bool = False
    """A norm of queries and keys."""

    @model_validator(mode="after")
    def _check_heads(self) -> VitShape:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of {self.heads} heads")
        if self.rotary and self.width // self.heads % 6:
            raise ValueError("rotary positions on three axes need heads whose width is a multiple of 6")
        if self.tokeniser == "residual" and triple(self.patch) != (8, 8, 8):
            raise ValueError("a tokeniser that halves three times has patches of 8")
        return self

    def build(self) -> ForeignViT:
        return ForeignViT(self)

    @property
    def own_patch_xyz(self) -> Triple:
        return triple(self.patch)

    @property
    def has_blocks(self) -> bool:
        return True

    @property
    def pyramid(self) -> tuple[tuple[int, int], ...]:
        return ()

    @property
    def pooling(self) -> str:
        words = {"mean": "the mean of its tokens", "first": "the token of its first patch, as its authors do,"}
        return "CLS" if self.cls else words[self.pooled]

    @property
    def grid_xyz(self) -> Triple:
        (a, b, c), (p, q, r) = triple(self.image_size), self.own_patch_xyz
        return a // p, b // q, c // r


class Placed(nn.Module):
    """Queries and keys normed where it is asked for, and turned by their tokens' places."""

    def __init__(self, shape: VitShape) -> None:
        super().__init__()
        self.heads = shape.heads
        each = shape.width // shape.heads
        self.norm_q = nn.LayerNorm(each) if shape.qk_norm else None
        self.norm_k = nn.LayerNorm(each) if shape.qk_norm else None

    def forward(self, qkv_BnE: Tensor, angles_1nC: Tensor | None = None) -> Tensor:
        if self.norm_q is None and angles_1nC is None:
            return qkv_BnE
        q, k, v = qkv_BnE.unflatten(2, (3, self.heads, -1)).unbind(2)  # each (B, n, H, C)
        if self.norm_q is not None and self.norm_k is not None:
            q, k = self.norm_q(q), self.norm_k(k)
        if angles_1nC is not None:
            q, k = turned(q, angles_1nC), turned(k, angles_1nC)
        return torch.stack([q, k, v], dim=2).flatten(2)


def turned(x_BnHC: Tensor, angles_1nC: Tensor) -> Tensor:
    """Neighbouring channels as pairs, each turned by its angle."""
    cos, sin = angles_1nC.cos().unsqueeze(2), angles_1nC.sin().unsqueeze(2)
    across = torch.stack([-x_BnHC[..., 1::2], x_BnHC[..., ::2]], dim=-1).flatten(-2)
    return (x_BnHC * cos + across * sin).to(x_BnHC.dtype)


def rotary_angles(grid_xyz: Triple, channels: int) -> Tensor:
    """Angles ``(P, C)`` of EVA-02 on three axes: a third of the channels for each, each angle for a pair of them."""
    per_axis = channels // 6
    bands = 1.0 / 10000.0 ** (torch.arange(per_axis) / per_axis)
    places = torch.stack(torch.meshgrid(*(torch.arange(n).float() for n in grid_xyz), indexing="ij"), dim=-1)
    return (places.reshape(-1, 3, 1) * bands).flatten(1).repeat_interleave(2, dim=1)


class ForeignAttention(nn.Module):
    def __init__(self, shape: VitShape) -> None:
        super().__init__()
        d = shape.width
        self.heads = shape.heads
        self.qkv = nn.Linear(d, 3 * d, bias=shape.qkv_bias)
        self.placed = Placed(shape)  # a module, so that the queries and keys that meet can be read out behind it
        self.norm = nn.LayerNorm(d, eps=shape.eps) if shape.inner_norm else None
        self.proj = nn.Linear(d, d)

    def forward(self, x_BnD: Tensor, angles: Tensor | None) -> Tensor:
        qkv = self.placed(self.qkv(x_BnD), angles).unflatten(2, (3, self.heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, n, C)
        out_BnD = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.proj(out_BnD if self.norm is None else self.norm(out_BnD))


class SwiGlu(nn.Module):
    """SwiGLU with a norm of what is gated (EVA-02)."""

    def __init__(self, width: int, hidden: int, eps: float) -> None:
        super().__init__()
        self.gate, self.value = nn.Linear(width, hidden), nn.Linear(width, hidden)
        self.norm, self.out = nn.LayerNorm(hidden, eps=eps), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.norm(F.silu(self.gate(x)) * self.value(x)))


class ForeignBlock(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, shape: VitShape) -> None:
        super().__init__()
        d = shape.width
        self.norm1, self.norm2 = nn.LayerNorm(d, eps=shape.eps), nn.LayerNorm(d, eps=shape.eps)
        self.attn = ForeignAttention(shape)
        self.mlp: nn.Module = (
            SwiGlu(d, shape.hidden, shape.eps)
            if shape.mlp == "swiglu"
            else nn.Sequential(nn.Linear(d, shape.hidden), nn.GELU(), nn.Linear(shape.hidden, d))
        )
        self.scale1 = nn.Parameter(torch.ones(d)) if shape.layer_scale else None
        self.scale2 = nn.Parameter(torch.ones(d)) if shape.layer_scale else None

    def forward(self, x_BnD: Tensor, angles: Tensor | None = None) -> Tensor:
        a = self.attn(self.norm1(x_BnD), angles)
        x_BnD = x_BnD + (a if self.scale1 is None else a * self.scale1)
        m = self.mlp(self.norm2(x_BnD))
        return x_BnD + (m if self.scale2 is None else m * self.scale2)


def residual_tokeniser(shape: VitShape) -> nn.Sequential:
    """Residual convolutions at full resolution, then three that halve, then a linear map."""
    width, how = shape.tokeniser_width, {"slope": 0.0, "eps": shape.tokeniser_eps}
    return nn.Sequential(
        ResidualBlock(shape.channels, width, 1, True, **how),
        ResidualBlock(width, width, 2, False, **how),
        ResidualBlock(width, 2 * width, 2, False, **how),
        ResidualBlock(2 * width, 4 * width, 2, False, **how),
        nn.Conv3d(4 * width, shape.width, 1),
    )


class ForeignViT(AnyEncoder):
    """Accepts any volume whose edges are multiples of the patch; learned positions are interpolated to its grid."""

    config: VitShape

    def __init__(self, config: VitShape) -> None:
        super().__init__()
        self.config = config
        d, patch = config.width, config.own_patch_xyz
        self.embed = (
            nn.Conv3d(config.channels, d, kernel_size=patch, stride=patch)
            if config.tokeniser == "patch"
            else residual_tokeniser(config)
        )
        self.cls = nn.Parameter(torch.zeros(1, 1, d)) if config.cls else None
        self.registers = nn.Parameter(torch.zeros(1, config.registers, d)) if config.registers else None
        learned = config.positions == "learned"
        self.positions = nn.Parameter(torch.zeros(1, d, *config.grid_xyz)) if learned else None
        self.blocks = nn.ModuleList(ForeignBlock(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(d, eps=config.eps)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for parameter in (self.cls, self.registers, self.positions):
            if parameter is not None:
                nn.init.trunc_normal_(parameter, std=0.02)

    def tokenise(self, volume_B1XYZ: Tensor) -> tuple[Tensor, Triple]:
        """Volume → tokens with positions ``(B, n, D)``, CLS (where there is one) and registers first, and the grid.

        Raises:
            ValueError: an edge is not a multiple of the patch.
        """
        if any(n % p for n, p in zip(volume_B1XYZ.shape[2:], self.config.patch_xyz, strict=True)):
            raise ValueError(f"volume {tuple(volume_B1XYZ.shape[2:])} is not a multiple of {self.config.patch_xyz}")
        patches_BDxyz = self.embed(taken_in(volume_B1XYZ, self.config))
        x, y, z = patches_BDxyz.shape[2:]
        if self.positions is not None:
            places: Tensor = self.positions
            if tuple(places.shape[2:]) != (x, y, z):
                places = F.interpolate(places.float(), size=(x, y, z), mode="trilinear", align_corners=False)
            patches_BDxyz = patches_BDxyz + places.to(patches_BDxyz.dtype)
        tokens = [t.expand(len(patches_BDxyz), -1, -1) for t in (self.cls, self.registers) if t is not None]
        return torch.cat([*tokens, patches_BDxyz.flatten(2).transpose(1, 2)], dim=1), (x, y, z)

    def angles(self, grid_xyz: Triple, device: torch.device) -> Tensor | None:
        if not self.config.rotary:
            return None
        patches_PC = rotary_angles(grid_xyz, self.config.width // self.config.heads)
        return F.pad(patches_PC, (0, 0, self._before, 0)).unsqueeze(0).to(device)

    @property
    def _before(self) -> int:
        """Tokens that blocks see before the first patch."""
        return int(self.config.cls) + self.config.registers

    def inside(self, weights_QN: Tensor) -> Tensor:
        if self.config.cls:
            return weights_QN
        places = weights_QN[:, self.first_patch :].clone()
        if self.config.pooled == "first":
            places[:, 0] += weights_QN[:, 0]
        else:
            places += weights_QN[:, :1] / places.shape[1]
        return torch.cat([weights_QN[:, 1 : self.first_patch], places], dim=1)

    def outside(self, rows_BHQN: Tensor, stream_BND: Tensor) -> tuple[Tensor, Tensor]:
        if self.config.cls:
            return rows_BHQN, stream_BND
        return F.pad(rows_BHQN, (1, 0)), self._pooled(stream_BND)

    def finish(self, stream_BND: Tensor) -> Tensor:
        return self.norm(stream_BND) if self.config.cls else self._pooled(self.norm(stream_BND[:, 1:]))

    def _pooled(self, tokens_BnD: Tensor) -> Tensor:
        """With what stands for CLS before them."""
        patches = tokens_BnD[:, self._before :]
        first = patches[:, :1] if self.config.pooled == "first" else patches.mean(dim=1, keepdim=True)
        return torch.cat([first, tokens_BnD], dim=1)

    def forward(self, volume_B1XYZ: Tensor, *, hidden: Sequence[int] = ()) -> Tokens:
        x_BnD, grid = self.tokenise(volume_B1XYZ)
        angles = self.angles(grid, x_BnD.device)
        states: dict[int, Tensor] = {}
        for number, block in enumerate(self.blocks, start=1):
            x_BnD = block(x_BnD, angles)
            if number in hidden:
                states[number] = x_BnD[:, self._before :]
        x_BnD = self.norm(x_BnD)
        return Tokens(x_BnD if self.config.cls else self._pooled(x_BnD), self.config.registers, grid, states)
