"""Two more networks of segmentation: nnU-Net's residual U-Net, and the light decoder of Primus on a ViT's tokens."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from workbench.errors import ConfigError
from workbench.model.contract import AnyEncoder
from workbench.model.foreign.conv import ConvUnit, ResEncEncoder, ResEncShape
from workbench.model.unetr import start_near_background

RESENC_BLOCKS = (1, 3, 4, 6, 6, 6)  # residual blocks of each level (ResEnc-M and -L)
WIDEST = 10  # times the features at full resolution: 320 of 32


class ResEncUnet(nn.Module):
    """nnU-Net's residual encoder U-Net (arXiv 2404.09556) → logits ``(B, classes, X, Y, Z)``.

    Its decoder has one convolution a level. With ``deep`` and in training all levels but the deepest two answer, finest
    first, as in nnU-Net.
    """

    def __init__(self, classes: int, shape: ResEncShape, *, deep: bool = False) -> None:
        super().__init__()
        self.deep = deep
        self.encoder_ = ResEncEncoder(shape)
        pairs = list(zip(shape.widths[:0:-1], shape.widths[-2::-1], strict=True))  # from the deepest up
        self.raises = nn.ModuleList(nn.ConvTranspose3d(of, to, 2, stride=2, bias=shape.bias) for of, to in pairs)
        self.merges = nn.ModuleList(ConvUnit(2 * to, to, 3, bias=shape.bias) for _, to in pairs)
        self.first = min(1, len(pairs) - 1) if deep else len(pairs) - 1  # place of the coarsest head
        self.heads = nn.ModuleList(nn.Conv3d(to, classes, 1) for _, to in pairs[self.first :])
        for module in self.modules():
            if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
                nn.init.kaiming_normal_(module.weight, a=0.01)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for head in self.heads:
            assert isinstance(head, nn.Conv3d)
            start_near_background(head, classes)

    def forward(self, volume_B1XYZ: Tensor) -> Tensor | list[Tensor]:
        *skips, x = self.encoder_.levels(volume_B1XYZ)
        levels = []
        for up, merge, skip in zip(self.raises, self.merges, reversed(skips), strict=True):
            x = merge(torch.cat([up(x), skip], dim=1))
            levels.append(x)
        if not self.training or not self.deep:
            full: Tensor = self.heads[-1](x)
            return full
        return [head(x) for head, x in zip(self.heads, levels[self.first :], strict=True)][::-1]


def resenc_shape(features: int, levels: int, channels: int = 1) -> ResEncShape:
    """The encoder of nnU-Net's ResEnc-M with so many channels at full resolution, halved so often."""
    widths = tuple(features * min(2**level, WIDEST) for level in range(levels + 1))
    return ResEncShape(
        format="",
        title="ResEnc U-Net",
        channels=channels,
        widths=widths,
        blocks=RESENC_BLOCKS[: levels + 1],
        image_size=2**levels,
    )


class PatchDecoder(nn.Module):
    """Encoder + the decoder of Primus (arXiv 2503.01835) → logits ``(B, classes, X, Y, Z)``.

    Transposed convolutions alone, each of which doubles the edges of the grid of normed tokens: no path from the voxels
    and none from earlier blocks, so that what is outlined is in the tokens.
    """

    def __init__(self, encoder: AnyEncoder, classes: int, *, features: int = 16) -> None:
        super().__init__()
        p, q, r = encoder.config.patch_xyz
        doublings = p.bit_length() - 1
        if not (p == q == r and p == 2**doublings and doublings >= 1):
            raise ConfigError(
                "the decoder of Primus needs the same patch on each axis, a power of two",
                cause=f"{encoder.config.name} has patch {p}x{q}x{r}",
                remedy="use another --network, or an encoder with such a patch",
            )
        self.encoder = encoder
        width = encoder.config.width
        # evenly spaced on a logarithmic scale, from the width of a token to the features at full resolution
        widths = [round(width * (features / width) ** (n / doublings)) for n in range(doublings + 1)]
        self.stages = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose3d(of, to, 2, stride=2), PlaceNorm(to), nn.GELU())
            for of, to in pairwise(widths)
        )
        self.out = nn.Conv3d(widths[-1], classes, 1)
        start_near_background(self.out, classes)

    def forward(self, volume_B1XYZ: Tensor) -> Tensor:
        x = self.encoder(volume_B1XYZ).patch_map()
        for stage in self.stages:
            x = stage(x)
        out: Tensor = self.out(x)
        return out


class PlaceNorm(nn.Module):
    """Layer norm over the channels of each place of a volume of features."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x_BCXYZ: Tensor) -> Tensor:
        normed: Tensor = self.norm(x_BCXYZ.movedim(1, -1)).movedim(-1, 1)
        return normed
