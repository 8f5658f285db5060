"""A 2D ViT applied to axial slices, one after the other: what looks at pictures looks at a scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from workbench.model.contract import AnyEncoder, Tokens
from workbench.model.foreign.shape import ConvShape, taken_in
from workbench.model.foreign.vit import ForeignViT, VitShape
from workbench.volumes.volume import Triple


class SliceShape(ConvShape):
    """Each axial slice (first axis to the right, second to the front) is a picture of its own; no token sees another
    slice, so that there is no attention over a scan."""

    family: Literal["slices"] = "slices"
    vit: VitShape
    """Of one slice: its patch and its crop are one voxel thick."""
    thick: int = Field(1, ge=1, le=32)
    """Slices of its own voxels that a token is the mean of."""

    @model_validator(mode="after")
    def _check_slices(self) -> SliceShape:
        if self.vit.own_patch_xyz[2] != 1 or self.vit.size_xyz[2] != 1 or self.vit.enlarge != 1:
            raise ValueError("vit: its patch and its crop are one voxel thick, and it enlarges nothing")
        return self

    def build(self) -> SliceEncoder:
        return SliceEncoder(self)

    @property
    def width(self) -> int:
        return self.vit.width

    @property
    def own_patch_xyz(self) -> Triple:
        p, q, _ = self.vit.own_patch_xyz
        return p, q, self.thick

    @property
    def pooling(self) -> str:
        return f"the mean over the slices that hold brain of {self.vit.pooling}"


class SliceEncoder(AnyEncoder):
    config: SliceShape

    def __init__(self, config: SliceShape) -> None:
        super().__init__()
        self.config = config
        self.of_slice = ForeignViT(config.vit)

    def forward(self, volume_B1XYZ: Tensor, *, hidden: Sequence[int] = ()) -> Tokens:
        thick = self.config.thick
        given = taken_in(volume_B1XYZ, self.config)
        b, _, _, _, depth = given.shape
        found = self.of_slice(given.permute(0, 4, 1, 2, 3).flatten(0, 1).unsqueeze(-1))
        x, y, _ = found.grid_xyz
        z = depth // thick
        patches_BzPD = found.patches_BPD.unflatten(0, (b, z, thick)).mean(2)
        tokens_BPD = patches_BzPD.unflatten(2, (x, y)).permute(0, 2, 3, 1, 4).flatten(1, 3)
        brain_BZ = (volume_B1XYZ != 0).flatten(1, 3).any(dim=1).float().repeat_interleave(self.config.enlarge, dim=1)
        share_BZ = brain_BZ / brain_BZ.sum(dim=1, keepdim=True).clamp_min(1)
        cls_B1D = (found.cls_BD.unflatten(0, (b, depth)) * share_BZ.unsqueeze(-1)).sum(dim=1, keepdim=True)
        states = dict.fromkeys(hidden, tokens_BPD)
        return Tokens(torch.cat([cls_B1D, tokens_BPD], dim=1), 0, (x, y, z), states)
