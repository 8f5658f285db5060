"""Convolutional encoders of others, and Swin: a pyramid of features, the deepest of which are the tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from workbench.model.contract import AnyEncoder, Tokens
from workbench.model.foreign.shape import ConvShape, padded, taken_in
from workbench.volumes.volume import Triple

Widths = tuple[int, ...]


class PyramidShape(ConvShape):
    """A pyramid of features: level l has ``widths[l]`` channels at a stride of ``first · 2ˡ`` of its own voxels."""

    widths: Widths = Field(min_length=2, max_length=8)
    """Channels of each level, finest first."""
    first: int = Field(1, ge=1, le=4)
    """Stride of the finest level."""
    level: int = -1
    """Level whose features are the tokens, from 0, or from the end when negative."""

    @model_validator(mode="after")
    def _check_levels(self) -> PyramidShape:
        if any(not 1 <= w <= 4096 for w in self.widths):
            raise ValueError("widths are between 1 and 4096")
        return self

    @property
    def strides(self) -> tuple[int, ...]:
        return tuple(self.first * 2**level for level in range(len(self.widths)))

    @property
    def width(self) -> int:
        return self.widths[self.level]

    @property
    def own_patch_xyz(self) -> Triple:
        step = self.first * 2 ** (self.level % len(self.widths))
        return step, step, step

    @property
    def pyramid(self) -> tuple[tuple[int, int], ...]:
        levels = zip(self.strides, self.widths, strict=True)
        return tuple((stride // self.enlarge, width) for stride, width in levels if stride % self.enlarge == 0)


class PyramidEncoder(AnyEncoder):
    """What all of them share. A subclass has ``net`` and gives all its levels."""

    config: PyramidShape
    net: nn.Module

    def levels(self, volume_BCXYZ: Tensor) -> list[Tensor]:
        """Features of each level, of its own voxels."""
        raise NotImplementedError

    def wide(self, given_BCXYZ: Tensor) -> Tensor:
        """With background at the far ends, up to multiples of the coarsest stride."""
        step = self.config.strides[-1]
        return padded(given_BCXYZ, (step, step, step), self.config.outside)

    def pyramid(self, volume_B1XYZ: Tensor) -> list[Tensor]:
        shape = self.config
        given = taken_in(volume_B1XYZ, shape)
        whole = tuple(given.shape[2:])
        found = self.levels(self.wide(given))
        kept = []
        for stride, level in zip(shape.strides, found, strict=True):
            if stride % shape.enlarge == 0:
                x, y, z = (-(-n // stride) for n in whole)
                kept.append(level[:, :, :x, :y, :z])
        return kept

    def forward(self, volume_B1XYZ: Tensor, *, hidden: Sequence[int] = ()) -> Tokens:
        places = self.config.pyramid
        own = self.config.own_patch_xyz[0] // self.config.enlarge
        features = self.pyramid(volume_B1XYZ)[[stride for stride, _ in places].index(own)]
        x, y, z = features.shape[2:]
        tokens_BPD = features.flatten(2).transpose(1, 2)
        states = dict.fromkeys(hidden, tokens_BPD)
        return Tokens(torch.cat([tokens_BPD.mean(1, keepdim=True), tokens_BPD], dim=1), 0, (x, y, z), states)


class SwinShape(PyramidShape):
    """MONAI's Swin transformer (Swin UNETR, arXiv 2201.01266): windows of attention that no map of a whole shows."""

    family: Literal["swin"] = "swin"
    first: int = 2
    feature_size: int = Field(48, ge=12, le=96)
    depths: Widths = (2, 2, 2, 2)
    window_heads: Widths = (3, 6, 12, 24)
    window: int = Field(7, ge=2, le=16)
    v2: bool = False
    """With a convolution before each stage (Swin UNETR V2)."""

    @model_validator(mode="after")
    def _check_stages(self) -> SwinShape:
        # it is built before its weights are compared with it, see `build`
        if len(self.depths) != 4 or len(self.window_heads) != 4 or min(self.depths) < 1 or sum(self.depths) > 32:
            raise ValueError("depths and window_heads are four, and there are at most 32 blocks")
        if self.widths != tuple(self.feature_size * 2**n for n in range(5)):
            raise ValueError("widths double from feature_size on")
        return self

    def build(self) -> SwinEncoder:
        # MONAI reads numbers out of tensors while it builds it, which a device without memory has not
        with torch.device("cpu"):
            return SwinEncoder(self)


class SwinEncoder(PyramidEncoder):
    config: SwinShape

    def __init__(self, config: SwinShape) -> None:
        from monai.networks.nets.swin_unetr import PatchMerging, SwinTransformer

        super().__init__()
        self.config = config
        self.net = SwinTransformer(
            in_chans=config.channels,
            embed_dim=config.feature_size,
            window_size=(config.window,) * 3,
            patch_size=(2, 2, 2),
            depths=config.depths,
            num_heads=config.window_heads,
            spatial_dims=3,
            downsample=PatchMerging,
            use_v2=config.v2,
        )

    def levels(self, volume_BCXYZ: Tensor) -> list[Tensor]:
        return cast("list[Tensor]", self.net(volume_BCXYZ.contiguous(), True))


class ResNetShape(PyramidShape):
    """MONAI's ResNet-18 or -50 in 3D."""

    family: Literal["resnet"] = "resnet"
    first: int = 2
    layers: Widths = (2, 2, 2, 2)
    bottleneck: bool = False
    stem_stride: Literal[1, 2] = 1

    @model_validator(mode="after")
    def _check_stem(self) -> ResNetShape:
        if self.first != 2 * self.stem_stride:
            raise ValueError("first is twice the stride of the stem, since a pooling follows it")
        return self

    def build(self) -> ResNetEncoder:
        return ResNetEncoder(self)


class ResNetEncoder(PyramidEncoder):
    config: ResNetShape

    def __init__(self, config: ResNetShape) -> None:
        from monai.networks.nets import ResNet

        super().__init__()
        self.config = config
        self.net = ResNet(
            "bottleneck" if config.bottleneck else "basic",
            list(config.layers),
            [64, 128, 256, 512],
            n_input_channels=config.channels,
            conv1_t_stride=config.stem_stride,
            feed_forward=False,
        )

    def levels(self, volume_BCXYZ: Tensor) -> list[Tensor]:
        net = cast(Any, self.net)
        x = net.maxpool(net.act(net.bn1(net.conv1(volume_BCXYZ))))
        out = []
        for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
            x = layer(x)
            out.append(x)
        return out


class ConvUnit(nn.Module):
    """Convolution, instance norm, and an activation unless it is left out: ReLU with a slope below 0."""

    def __init__(
        self,
        of: int,
        to: int,
        kernel: int,
        stride: int = 1,
        *,
        bias: bool,
        act: bool = True,
        slope: float = 0.01,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv3d(of, to, kernel, stride, padding=kernel // 2, bias=bias)
        self.norm = nn.InstanceNorm3d(to, eps=eps, affine=True)
        self.act, self.slope = act, slope

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return F.leaky_relu(x, self.slope) if self.act else x


class ResEncShape(PyramidShape):
    """nnU-Net's residual encoder (arXiv 2404.09556)."""

    family: Literal["resenc"] = "resenc"
    blocks: Widths = (1, 3, 4, 6, 6, 6)
    """Residual blocks of each level."""
    bias: bool = True

    @model_validator(mode="after")
    def _check_blocks(self) -> ResEncShape:
        if len(self.blocks) != len(self.widths) or any(not 1 <= n <= 32 for n in self.blocks):
            raise ValueError("blocks: one to 32 for each of the widths")
        return self

    def build(self) -> ResEncEncoder:
        return ResEncEncoder(self)


class ResidualBlock(nn.Module):
    """Two convolutions and a way around them: a mean over the stride, then 1x1x1 where the width changes (ResNet-D)."""

    def __init__(self, of: int, to: int, stride: int, bias: bool, *, slope: float = 0.01, eps: float = 1e-5) -> None:
        super().__init__()
        self.stride, self.slope = stride, slope
        self.first = ConvUnit(of, to, 3, stride, bias=bias, slope=slope, eps=eps)
        self.second = ConvUnit(to, to, 3, bias=bias, act=False, eps=eps)
        self.around = ConvUnit(of, to, 1, bias=False, act=False, eps=eps) if of != to else None

    def forward(self, x: Tensor) -> Tensor:
        around = F.avg_pool3d(x, self.stride) if self.stride > 1 else x
        if self.around is not None:
            around = self.around(around)
        return F.leaky_relu(self.second(self.first(x)) + around, self.slope)


class ResEncEncoder(PyramidEncoder):
    config: ResEncShape

    def __init__(self, config: ResEncShape) -> None:
        super().__init__()
        self.config = config
        self.stem = ConvUnit(config.channels, config.widths[0], 3, bias=config.bias)
        before = [config.widths[0], *config.widths[:-1]]
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(
                    ResidualBlock(of if i == 0 else to, to, 2 if i == 0 and level else 1, config.bias)
                    for i in range(blocks)
                )
            )
            for level, (of, to, blocks) in enumerate(zip(before, config.widths, config.blocks, strict=True))
        )

    def levels(self, volume_BCXYZ: Tensor) -> list[Tensor]:
        x, out = self.stem(volume_BCXYZ), []
        for stage in self.stages:
            x = stage(x)
            out.append(x)
        return out


class PlainShape(PyramidShape):
    """A plain U-Net's encoder: two convolutions a level, a maximum between levels (AMAES, arXiv 2408.00640)."""

    family: Literal["plain"] = "plain"

    def build(self) -> PlainEncoder:
        return PlainEncoder(self)


class PlainEncoder(PyramidEncoder):
    config: PlainShape

    def __init__(self, config: PlainShape) -> None:
        super().__init__()
        self.config = config
        before = [config.channels, *config.widths[:-1]]
        self.stages = nn.ModuleList(
            nn.Sequential(ConvUnit(of, to, 3, bias=True), ConvUnit(to, to, 3, bias=True))
            for of, to in zip(before, config.widths, strict=True)
        )

    def levels(self, volume_BCXYZ: Tensor) -> list[Tensor]:
        x, out = volume_BCXYZ, []
        for level, stage in enumerate(self.stages):
            x = stage(F.max_pool3d(x, 2) if level else x)
            out.append(x)
        return out
