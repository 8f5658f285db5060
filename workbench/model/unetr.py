"""UNETR decoder (arXiv 2103.10504) on the encoder's hidden states, from MONAI's blocks, for any power-of-two patch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workbench.errors import ConfigError
from workbench.model.contract import AnyEncoder

PRIOR_LOGIT = -3.0  # about 5 % of each structure in the first output


def start_near_background(head: nn.Conv3d, classes: int) -> None:
    """Structures are rare: start near background (the prior of RetinaNet, arXiv 1708.02002, 3.3). From even odds the
    first steps drive all structures to zero, and of two mirrored ones the second comes back late."""
    assert head.bias is not None
    with torch.no_grad():
        head.weight.mul_(0.3)
        head.bias.copy_(torch.tensor([0.0] + [PRIOR_LOGIT] * (classes - 1)))


def _heads(widths: list[int], classes: int) -> nn.ModuleList:
    """A head for each of the coarser levels that deep supervision asks, finest first."""
    heads = [nn.Conv3d(width, classes, kernel_size=1) for width in widths]
    for head in heads:
        start_near_background(head, classes)
    return nn.ModuleList(heads)


class Unetr(nn.Module):
    """Encoder + decoder → logits ``(B, classes, X, Y, Z)``.

    With patch 2ⁿ there are n levels: level l at 1/2ˡ of the resolution has ``features · 2ˡ`` channels and takes the
    hidden state of an evenly spaced block (3, 6, 9 of 12 for patch 16). ``input_skip=False`` leaves out the path
    from the voxels straight into the last level, so that nothing can be solved without the encoder. With ``deep`` and
    in training the levels at 1/2 and 1/4 of the resolution answer too, finest first.
    """

    def __init__(
        self,
        encoder: AnyEncoder,
        classes: int,
        *,
        features: int = 16,
        input_skip: bool = True,
        channels: int = 1,
        deep: bool = False,
    ) -> None:
        from monai.networks.blocks import UnetrBasicBlock, UnetrPrUpBlock, UnetrUpBlock  # seconds to import

        super().__init__()
        p, q, r = encoder.config.patch_xyz
        levels = p.bit_length() - 1
        if not (p == q == r and p == 2**levels and levels >= 2):
            raise ConfigError(
                "the UNETR decoder needs the same patch on each axis: 4, 8, 16 or 32",
                cause=f"the encoder has patch {p}x{q}x{r}",
                remedy="pretrain with such a patch",
            )
        self.encoder = encoder
        width, depth = encoder.config.width, encoder.config.depth
        # level 1 is the shallowest; with few blocks several levels share one
        self.taps = [max(1, round(depth * level / levels)) for level in range(1, levels)]
        self.skips = nn.ModuleList(
            UnetrPrUpBlock(
                3,
                width,
                features * 2**level,
                num_layer=levels - level - 1,
                kernel_size=3,
                stride=1,
                upsample_kernel_size=2,
                norm_name="instance",
                conv_block=True,
                res_block=True,
            )
            for level in range(1, levels)
        )
        self.ups = nn.ModuleList(
            UnetrUpBlock(
                3,
                width if level == levels - 1 else features * 2 ** (level + 1),
                features * 2**level,
                kernel_size=3,
                upsample_kernel_size=2,
                norm_name="instance",
                res_block=True,
            )
            for level in range(1, levels)
        )
        self.skip0: nn.Module | None
        self.up0: nn.Module
        if input_skip:
            self.skip0 = UnetrBasicBlock(
                3, channels, features, kernel_size=3, stride=1, norm_name="instance", res_block=True
            )
            self.up0 = UnetrUpBlock(
                3, features * 2, features, kernel_size=3, upsample_kernel_size=2, norm_name="instance", res_block=True
            )
        else:
            self.skip0 = None
            self.up0 = nn.Sequential(
                nn.ConvTranspose3d(features * 2, features, kernel_size=2, stride=2),
                UnetrBasicBlock(3, features, features, kernel_size=3, stride=1, norm_name="instance", res_block=True),
            )
        self.out = nn.Conv3d(features, classes, kernel_size=1)
        start_near_background(self.out, classes)
        self.deep = _heads([features * 2**level for level in (1, 2) if level < levels], classes) if deep else None

    def forward(self, volume_B1XYZ: Tensor) -> Tensor | list[Tensor]:
        tokens = self.encoder(volume_B1XYZ, hidden=self.taps)
        x = tokens.patch_map()  # (B, D, x, y, z)
        levels: list[Tensor] = []  # finest first
        for tap, skip, up in zip(reversed(self.taps), reversed(self.skips), reversed(self.ups), strict=True):
            x = up(x, skip(tokens.patch_map(tokens.hidden[tap])))  # one level up: edges double
            levels.insert(0, x)
        x = self.up0(x) if self.skip0 is None else self.up0(x, self.skip0(volume_B1XYZ))
        return _answers(self.out(x), levels, self.deep if self.training else None)


class PyramidUnetr(nn.Module):
    """A convolutional encoder (or Swin) with its own pyramid + decoder → logits ``(B, classes, X, Y, Z)``.

    Each level of the pyramid goes through a block of its own and is joined on the way up, as in Swin UNETR
    (arXiv 2201.01266); ``input_skip=False`` leaves out the path from the voxels, so that nothing can be solved without
    the encoder. ``deep`` as of `Unetr`.
    """

    def __init__(
        self,
        encoder: AnyEncoder,
        classes: int,
        *,
        features: int = 16,
        input_skip: bool = True,
        channels: int = 1,
        deep: bool = False,
    ) -> None:
        from monai.networks.blocks import UnetrBasicBlock, UnetrUpBlock

        super().__init__()
        self.encoder = encoder
        levels = encoder.config.pyramid
        if levels[0][0] not in (1, 2):
            raise ConfigError(
                "the decoder needs features at each voxel, or at every second one",
                cause=f"the finest that {encoder.config.name} has are at every {levels[0][0]}th",
                remedy="use --network token_probe, or prepare finer scans",
            )
        widths = [features * min(2**n, 16) for n in range(1, len(levels) + 1)]

        def block(of: int, to: int) -> UnetrBasicBlock:
            return UnetrBasicBlock(3, of, to, kernel_size=3, stride=1, norm_name="instance", res_block=True)

        def up(of: int, to: int) -> UnetrUpBlock:
            return UnetrUpBlock(3, of, to, kernel_size=3, upsample_kernel_size=2, norm_name="instance", res_block=True)

        self.skips = nn.ModuleList(block(of, to) for (_, of), to in zip(levels, widths, strict=True))
        self.ups = nn.ModuleList(up(widths[n + 1], widths[n]) for n in range(len(levels) - 1))
        self.skip0 = block(channels, features) if input_skip else None
        self.up0: nn.Module | None = None
        last = widths[0]
        if levels[0][0] == 2:
            self.up0 = up(last, features) if input_skip else nn.ConvTranspose3d(last, features, 2, stride=2)
            last = features
        elif input_skip:
            last += features
        self.out = nn.Conv3d(last, classes, kernel_size=1)
        start_near_background(self.out, classes)
        self.coarse = 0 if levels[0][0] > 1 else 1  # the first level that is not at full resolution
        self.deep = _heads(widths[:-1][self.coarse :][:2], classes) if deep else None

    def forward(self, volume_B1XYZ: Tensor) -> Tensor | list[Tensor]:
        levels = [skip(level) for skip, level in zip(self.skips, self.encoder.pyramid(volume_B1XYZ), strict=True)]
        x = levels[-1]
        found: list[Tensor] = []  # finest first
        for up, beside in zip(reversed(self.ups), levels[-2::-1], strict=True):
            x = up(x, beside)
            found.insert(0, x)
        voxels = None if self.skip0 is None else self.skip0(volume_B1XYZ)
        if self.up0 is not None:
            x = self.up0(x) if voxels is None else self.up0(x, voxels)
        elif voxels is not None:
            x = torch.cat([x, voxels], dim=1)
        return _answers(self.out(x), found[self.coarse :], self.deep if self.training else None)


def _answers(full: Tensor, levels: list[Tensor], heads: nn.ModuleList | None) -> Tensor | list[Tensor]:
    """The answer at full resolution, and where there are heads those of coarser levels after it."""
    return full if heads is None else [full, *(head(x) for head, x in zip(heads, levels, strict=False))]
