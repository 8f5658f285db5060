"""The encoder: a 3D vision transformer with fused attention; `model.attention` reads its attention out.

Shape suffixes: B volumes, N all tokens (1 CLS + R registers + P patches), D width, H heads, C channels of a head,
XYZ voxels, xyz patch grid. A volume of several contrasts has them in the place of the 1 in B1XYZ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from workbench.model.config import EncoderConfig
from workbench.model.contract import AnyEncoder, Tokens
from workbench.volumes.volume import Triple


def rotary_angles(grid_xyz: Triple, channels: int) -> Tensor:
    """Angles ``(P, F)`` that patch tokens are turned by: a third of the F frequencies for each axis.

    The place of a token is counted in tokens from the middle of the grid, so that neighbours are one step apart in a
    crop and in a whole head alike. Wavelengths go from 4 tokens to 64, more than any head has.

    Args:
        grid_xyz: Patch tokens along each axis.
        channels: Of a head; 2 F of them are turned, the rest (fewer than 6) are left alone.
    """
    per_axis = channels // 6
    wavelengths = 4.0 * 16.0 ** (torch.arange(per_axis) / max(per_axis - 1, 1))
    places = torch.stack(
        torch.meshgrid(*(torch.arange(n) - (n - 1) / 2 for n in grid_xyz), indexing="ij"), dim=-1
    ).reshape(-1, 3)
    return (2 * math.pi * places.unsqueeze(2) / wavelengths).flatten(1)


class Placed(nn.Module):
    """Queries and keys turned by their tokens' places (rotary positions); without angles all pass unchanged."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, qkv_BNE: Tensor, angles: Tensor | None = None) -> Tensor:
        """``qkv_BNE``: queries, keys and values side by side ``(B, N, 3 D)``; ``angles``: ``(B or 1, N, F)``."""
        if angles is None:
            return qkv_BNE
        f = angles.shape[2]
        cos, sin = angles.cos().to(qkv_BNE.dtype), angles.sin().to(qkv_BNE.dtype)
        cos, sin = cos[:, :, None, None], sin[:, :, None, None]
        whole = qkv_BNE.unflatten(2, (3, self.heads, -1))
        qk, v = whole[:, :, :2], whole[:, :, 2:]
        a, b = qk[..., :f], qk[..., f : 2 * f]
        turned = torch.cat([a * cos - b * sin, a * sin + b * cos, qk[..., 2 * f :]], dim=-1)
        return torch.cat([turned, v], dim=2).flatten(2)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, qkv_bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.placed = Placed(heads)  # a module, so that the queries and keys that meet can be read out behind it
        self.proj = nn.Linear(width, width)

    def forward(self, x_BND: Tensor, angles: Tensor | None = None) -> Tensor:
        qkv = self.placed(self.qkv(x_BND), angles).unflatten(2, (3, self.heads, -1))  # (B, N, 3, H, C)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, N, C)
        if x_BND.device.type == "cpu" and q.dtype == torch.bfloat16 and q.requires_grad:
            # the backward pass of torch's fused attention takes three times as long in bfloat16 as in float32 on a CPU
            with torch.autocast("cpu", enabled=False):
                out_BHNC = F.scaled_dot_product_attention(q.float(), k.float(), v.float()).to(q.dtype)
        else:
            out_BHNC = F.scaled_dot_product_attention(q, k, v)
        return self.proj(out_BHNC.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Pre-norm transformer block; ``drop_path`` skips a whole residual branch of a sample in training."""

    def __init__(
        self, width: int, heads: int, *, qkv_bias: bool = True, layer_scale: float = 0.0, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads, qkv_bias)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.drop_path = drop_path
        self.scale1 = nn.Parameter(torch.full((width,), layer_scale)) if layer_scale else None
        self.scale2 = nn.Parameter(torch.full((width,), layer_scale)) if layer_scale else None

    def _add(self, x_BND: Tensor, branch_BND: Tensor, scale: Tensor | None, drops_B: Tensor | None) -> Tensor:
        if scale is not None:
            branch_BND = branch_BND * scale
        if self.training and self.drop_path > 0:
            drops_B = torch.rand(len(x_BND), device=x_BND.device) if drops_B is None else drops_B
            kept = (drops_B >= self.drop_path).to(branch_BND.dtype) / (1 - self.drop_path)
            branch_BND = branch_BND * kept.view(-1, 1, 1)
        return x_BND + branch_BND

    def forward(self, x_BND: Tensor, drops_B2: Tensor | None = None, angles: Tensor | None = None) -> Tensor:
        first, second = (None, None) if drops_B2 is None else drops_B2.unbind(dim=1)
        x_BND = self._add(x_BND, self.attn(self.norm1(x_BND), angles), self.scale1, first)
        return self._add(x_BND, self.mlp(self.norm2(x_BND)), self.scale2, second)


def by_patch(volume_B1XYZ: Tensor, patch: Triple) -> Tensor:
    """A volume seen as its patches ``(B, x, y, z, p, q, r)``, with ``c`` channels ``(B, x, y, z, c, p, q, r)``; a
    view, nothing is copied.

    Raises:
        ValueError: an edge is not a multiple of the patch.
    """
    p, q, r = patch
    b, channels, nx, ny, nz = volume_B1XYZ.shape
    if nx % p or ny % q or nz % r:
        raise ValueError(f"volume {nx}x{ny}x{nz} is not a multiple of patch {p}x{q}x{r}; pad it first")
    if channels > 1:
        split = volume_B1XYZ.reshape(b, channels, nx // p, p, ny // q, q, nz // r, r)
        return split.permute(0, 2, 4, 6, 1, 3, 5, 7)
    return volume_B1XYZ.reshape(b, nx // p, p, ny // q, q, nz // r, r).permute(0, 1, 3, 5, 2, 4, 6)


def cubes(volume_B1XYZ: Tensor, patch: Triple) -> tuple[Tensor, Triple]:
    """Volume → the voxels of each patch ``(B, P, p·q·r)``, of one channel after the other, and the patch grid; raises
    as `by_patch` does."""
    split_Bxyzpqr = by_patch(volume_B1XYZ, patch)
    x, y, z = split_Bxyzpqr.shape[1:4]
    return split_Bxyzpqr.flatten(4).flatten(1, 3), (x, y, z)


class Encoder(AnyEncoder):
    """3D ViT. Accepts any volume whose edges are multiples of the patch; learned positions are interpolated to its
    grid, rotary ones are those of its grid."""

    config: EncoderConfig

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        d, (p, q, r) = config.width, config.patch_xyz
        self.embed = nn.Linear(config.channels * p * q * r, d)
        self.cls = nn.Parameter(torch.zeros(1, 1, d))
        self.registers = nn.Parameter(torch.zeros(1, config.registers, d))
        self.cls_position = nn.Parameter(torch.zeros(1, 1, d))
        self.positions = nn.Parameter(torch.zeros(1, d, *config.grid_xyz)) if config.positions == "learned" else None
        rates = [config.drop_path * i / max(config.depth - 1, 1) for i in range(config.depth)]
        self.blocks = nn.ModuleList(
            Block(d, config.heads, qkv_bias=config.qkv_bias, layer_scale=config.layer_scale, drop_path=rate)
            for rate in rates
        )
        self.recompute = False  # activation checkpointing: blocks run again in the backward pass instead of being kept
        self.norm = nn.LayerNorm(d, eps=1e-6)
        self._init_weights()

    def _init_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for parameter in (self.cls, self.registers, self.cls_position, self.positions):
            if parameter is not None:
                nn.init.trunc_normal_(parameter, std=0.02)

    @property
    def first_patch(self) -> int:
        """Index of the first patch token; CLS is token 0, registers follow it."""
        return 1 + self.config.registers

    def tokenise(self, volume_B1XYZ: Tensor) -> tuple[Tensor, Triple]:
        """Volume → tokens with positions ``(B, N, D)`` and the patch grid.

        Raises:
            ValueError: an edge is not a multiple of the patch, or the volume has other channels.
        """
        if volume_B1XYZ.shape[1] != self.config.channels:
            raise ValueError(f"a volume of {volume_B1XYZ.shape[1]} channels for an encoder of {self.config.channels}")
        voxels_BPv, (x, y, z) = cubes(volume_B1XYZ, self.config.patch_xyz)
        b = len(voxels_BPv)
        patches_BPD = self.embed(voxels_BPv)
        if self.positions is not None:
            patches_BPD = patches_BPD + self._positions(self.positions, (x, y, z))
        cls_B1D = (self.cls + self.cls_position).expand(b, -1, -1)
        return torch.cat([cls_B1D, self.registers.expand(b, -1, -1), patches_BPD], dim=1), (x, y, z)

    @staticmethod
    def _positions(learned_1Dxyz: Tensor, grid_xyz: Triple) -> Tensor:
        positions = learned_1Dxyz
        if grid_xyz != tuple(positions.shape[2:]):
            positions = F.interpolate(positions.float(), size=grid_xyz, mode="trilinear", align_corners=False)
        return positions.flatten(2).transpose(1, 2).to(learned_1Dxyz.dtype)  # (1, P, D)

    def angles(self, grid_xyz: Triple, device: torch.device) -> Tensor | None:
        """What blocks turn queries and keys by, ``(1, N, F)``; CLS and registers, which have no place, are not turned.
        None with learned positions."""
        if self.config.positions == "learned":
            return None
        patches_PF = rotary_angles(grid_xyz, self.config.width // self.config.heads)
        return F.pad(patches_PF, (0, 0, self.first_patch, 0)).unsqueeze(0).to(device)

    def _kept(self, all_BNX: Tensor, keep_BS: Tensor) -> Tensor:
        """CLS and registers, and of the patches those to keep."""
        patches = all_BNX[:, self.first_patch :].gather(1, keep_BS.unsqueeze(-1).expand(-1, -1, all_BNX.shape[2]))
        return torch.cat([all_BNX[:, : self.first_patch], patches], dim=1)

    def forward(
        self,
        volume_B1XYZ: Tensor,
        *,
        hidden: Sequence[int] = (),
        keep: Tensor | None = None,
        drops: Tensor | None = None,
    ) -> Tokens:
        """Encode a batch.

        Args:
            volume_B1XYZ: Prepared volumes, edges multiples of the patch.
            hidden: Blocks (counted from 1) whose patch tokens are wanted, as the UNETR decoder does.
            keep: Indices of the only patch tokens to look at, ``(B, S)``, as MAE does; all of them unless given.
            drops: Uniform numbers that drop path goes by in training, ``(B, depth, 2)``; drawn here unless given.
        """
        x_BND, grid = self.tokenise(volume_B1XYZ)
        angles = self.angles(grid, x_BND.device)
        if keep is not None:
            x_BND = self._kept(x_BND, keep)
            angles = None if angles is None else self._kept(angles.expand(len(keep), -1, -1), keep)
        states: dict[int, Tensor] = {}
        for number, block in enumerate(self.blocks, start=1):
            drop_B2 = None if drops is None else drops[:, number - 1]
            if self.recompute and torch.is_grad_enabled():
                # nothing random is drawn inside when drops are given, so no generator has to be put back
                x_BND = checkpoint(block, x_BND, drop_B2, angles, use_reentrant=False, preserve_rng_state=drops is None)
            else:
                x_BND = block(x_BND, drop_B2, angles)
            if number in hidden:
                states[number] = x_BND[:, self.first_patch :]
        return Tokens(self.norm(x_BND), self.config.registers, grid, states)
