"""What the shapes of encoders made elsewhere share, and the way from a prepared scan to what they were trained on."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from workbench.model.config import Intensities, triple
from workbench.model.contract import AnyEncoder
from workbench.runs import Settings
from workbench.volumes.volume import Triple

WANTS: dict[str, str] = {
    "zscore": "z-scores in the brain, 0 outside it",
    "unit": "0 to 1 between the darkest and the brightest voxel of the brain, 0 outside it",
    "symmetric": "-1 to 1 between the darkest and the brightest voxel of the brain, -1 outside it",
}


class ForeignShape(Settings):
    """An encoder made elsewhere: its geometry, and what it is given. A subclass is a family of architectures."""

    format: str
    """Name of the format that it was imported from."""
    title: str
    """In a few words, for messages."""
    image_size: int | Triple = 96
    """Edge of the crop that it was trained on, in its own voxels."""
    channels: int = Field(1, ge=1, le=8)
    """Channels that it takes; the scan is given as each of them."""
    intensities: Intensities = "zscore"
    """What it was trained on; prepared scans are turned into it."""
    enlarge: int = Field(1, ge=1, le=8)
    """Its voxels along each edge of a prepared one: what it wants finer than the store is interpolated."""

    @model_validator(mode="after")
    def _check_sizes(self) -> ForeignShape:
        for size, patch in zip(triple(self.image_size), self.own_patch_xyz, strict=True):
            if patch % self.enlarge:
                raise ValueError(f"enlarge {self.enlarge} does not divide its patch {patch}")
            if not 1 <= size <= 1024 or size % patch:
                raise ValueError(f"image_size {size} is no multiple of its patch {patch}, or too large")
        return self

    def build(self) -> AnyEncoder:
        """The network, with weights drawn from torch's generator."""
        raise NotImplementedError

    @property
    def own_patch_xyz(self) -> Triple:
        """Its own voxels that a token stands for."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        return self.title

    @property
    def wants(self) -> str:
        return WANTS[self.intensities] + ("" if self.channels == 1 else f", in each of {self.channels} channels")

    @property
    def outside(self) -> float:
        """What background is to it."""
        return -1.0 if self.intensities == "symmetric" else 0.0

    @property
    def patch_xyz(self) -> Triple:
        p, q, r = (n // self.enlarge for n in self.own_patch_xyz)
        return p, q, r

    @property
    def size_xyz(self) -> Triple:
        a, b, c = (n // self.enlarge for n in triple(self.image_size))
        return a, b, c


class ConvShape(ForeignShape):
    """One grid of tokens, no CLS, no attention that can be shown."""

    @property
    def registers(self) -> int:
        return 0

    @property
    def depth(self) -> int:
        return 1

    @property
    def heads(self) -> int:
        return 0

    @property
    def pyramid(self) -> tuple[tuple[int, int], ...]:
        return ()

    @property
    def has_blocks(self) -> bool:
        return False

    @property
    def pooling(self) -> str:
        return "the mean of its tokens"


def taken_in(volume_B1XYZ: Tensor, shape: ForeignShape) -> Tensor:
    """What the encoder is given: intensities on its scale, on voxels of its size, in its channels.

    The darkest and the brightest voxel are those of the brain in what is given: of the whole scan where it is read
    whole, of a window where a segmentation reads windows.
    """
    volume = volume_B1XYZ
    if shape.intensities != "zscore":
        brain = volume != 0
        low = torch.where(brain, volume, torch.inf).amin(dim=(1, 2, 3, 4), keepdim=True)
        high = torch.where(brain, volume, -torch.inf).amax(dim=(1, 2, 3, 4), keepdim=True)
        share = (volume - low) / (high - low).clamp_min(1e-6)
        volume = torch.where(brain, share, 0.0)
        if shape.intensities == "symmetric":
            volume = 2 * volume - 1
    if shape.enlarge > 1:
        volume = F.interpolate(volume, scale_factor=shape.enlarge, mode="trilinear", align_corners=False)
    return volume.expand(-1, shape.channels, -1, -1, -1)


def padded(volume_BCXYZ: Tensor, step: Triple, fill: float) -> Tensor:
    """The volume with ``fill`` at the far ends, up to multiples of ``step``."""
    room = [(-n) % s for n, s in zip(volume_BCXYZ.shape[2:], step, strict=True)]
    return F.pad(volume_BCXYZ, (0, room[2], 0, room[1], 0, room[0]), value=fill) if any(room) else volume_BCXYZ
