"""A U-Net whose features are those of its last layer, one vector a voxel (anatomix, arXiv 2411.02372)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from workbench.model.contract import Tokens
from workbench.model.foreign.conv import PyramidEncoder, PyramidShape
from workbench.model.foreign.shape import taken_in
from workbench.volumes.volume import Triple


class DenseShape(PyramidShape):
    """Level 0 of its pyramid is its last layer, the others are its encoder's; a token is the mean of the vectors of a
    cube of voxels."""

    family: Literal["dense"] = "dense"
    cube: int = Field(8, ge=2, le=32)
    """Edge of the cube of its own voxels that a token is the mean of."""
    norm: Literal["batch", "instance"] = "batch"
    eps: float = Field(1e-5, gt=0, lt=0.1)
    between: Literal["max", "mean"] = "max"
    """Pooling between levels."""
    interpolation: Literal["nearest", "trilinear"] = "nearest"

    def build(self) -> DenseEncoder:
        return DenseEncoder(self)

    @property
    def width(self) -> int:
        return self.widths[0]

    @property
    def own_patch_xyz(self) -> Triple:
        return self.cube, self.cube, self.cube


class Unit(nn.Module):
    """Convolution with mirrored borders, norm, ReLU."""

    def __init__(self, of: int, to: int, shape: DenseShape) -> None:
        super().__init__()
        instance = shape.norm == "instance"
        self.conv = nn.Conv3d(of, to, 3, padding=1, padding_mode="reflect", bias=instance)
        self.norm = nn.InstanceNorm3d(to, eps=shape.eps) if instance else nn.BatchNorm3d(to, eps=shape.eps)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


class DenseEncoder(PyramidEncoder):
    config: DenseShape

    def __init__(self, config: DenseShape) -> None:
        super().__init__()
        self.config = config
        out, *inner = config.widths
        full = inner[0] // 2  # channels at full resolution
        widths = [full, *inner]
        self.stem = Unit(config.channels, full, config)
        self.down = nn.ModuleList(
            nn.Sequential(Unit(of, to, config), Unit(to, to, config))
            for of, to in zip([full, *widths[:-1]], widths, strict=True)
        )
        self.up = nn.ModuleList(
            nn.Sequential(Unit(below + here, here, config), Unit(here, here, config))
            for below, here in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.last = nn.Conv3d(full, out, 3, padding=1, padding_mode="reflect", bias=config.norm == "instance")

    def levels(self, volume_BCXYZ: Tensor) -> list[Tensor]:
        config = self.config
        pool = F.max_pool3d if config.between == "max" else F.avg_pool3d
        x, kept = self.stem(volume_BCXYZ), []
        for level, stage in enumerate(self.down):
            x = stage(pool(x, 2) if level else x)
            kept.append(x)
        align = {} if config.interpolation == "nearest" else {"align_corners": False}
        for stage, beside in zip(self.up, kept[-2::-1], strict=True):
            x = stage(torch.cat([beside, F.interpolate(x, scale_factor=2, mode=config.interpolation, **align)], dim=1))
        return [self.last(x), *kept[1:]]

    def _level_0(self, volume_B1XYZ: Tensor) -> Tensor:
        """Its last layer, of its own voxels."""
        given = taken_in(volume_B1XYZ, self.config)
        x, y, z = given.shape[2:]
        return self.levels(self.wide(given))[0][:, :, :x, :y, :z]

    def wide(self, given_BCXYZ: Tensor) -> Tensor:
        # the deepest level needs two voxels for its borders to be mirrored
        wide = super().wide(given_BCXYZ)
        least = 2 * self.config.strides[-1]
        room = [max(0, least - n) for n in wide.shape[2:]]
        return F.pad(wide, (0, room[2], 0, room[1], 0, room[0]), value=self.config.outside)

    def forward(self, volume_B1XYZ: Tensor, *, hidden: Sequence[int] = ()) -> Tokens:
        voxels, cube = self._level_0(volume_B1XYZ), self.config.cube
        features = F.avg_pool3d(voxels, cube)
        x, y, z = features.shape[2:]
        tokens_BPD = features.flatten(2).transpose(1, 2)
        states = dict.fromkeys(hidden, tokens_BPD)
        return Tokens(torch.cat([tokens_BPD.mean(1, keepdim=True), tokens_BPD], dim=1), 0, (x, y, z), states)
