"""Settings of the encoder. An exported encoder carries them in its ``config.json``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from workbench.cohort.contrasts import MAX_CHANNELS
from workbench.runs import LATER, Settings
from workbench.volumes.volume import Triple

# width, depth, heads; small and base are the ViT-S and ViT-B of DINO, micro is for a machine without a GPU
PRESETS: dict[str, Triple] = {
    "micro": (192, 6, 3),
    "tiny": (192, 12, 3),
    "small": (384, 12, 6),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
}

Intensities = Literal["zscore", "unit", "symmetric"]
"""Scales that encoders made elsewhere were trained on, see ``foreign.shape``."""


def triple(value: int | Triple) -> Triple:
    """One number for all three axes, or one an axis."""
    return (value, value, value) if isinstance(value, int) else value


class EncoderConfig(Settings):
    """A 3D vision transformer (UNETR arXiv 2103.10504, DINO arXiv 2104.14294, registers arXiv 2309.16588)."""

    preset: Literal["micro", "tiny", "small", "base", "large"] = "small"
    """Width, depth and heads: micro 192/6/3, tiny 192/12/3, small 384/12/6, base 768/12/12, large 1024/24/16."""
    image_size: int | Triple = 96
    """Edge of the training crop in voxels, one number or one an axis; other sizes are accepted later."""
    patch: int | Triple = 16
    """Edge of a patch in voxels, one number or one an axis; it must divide image_size."""
    positions: Literal["learned", "rotary"] = "learned"
    """How a token knows its place: one learned vector a place of the training crop, stretched over others, or
    rotary in steps of a token (RoFormer arXiv 2104.09864, DINOv3 arXiv 2508.10104), the same at any size."""
    registers: int = Field(4, ge=0, le=32)
    """Register tokens: extra tokens that keep high-norm artefacts out of the patch tokens."""
    qkv_bias: bool = True
    """Bias in the query, key and value projections (the DINO family has it)."""
    layer_scale: float = Field(0.0, ge=0)
    """Initial value of the per-channel residual scale; 0 leaves it out."""
    drop_path: float = Field(0.1, ge=0, lt=1)
    """Largest probability of skipping a residual branch in training, rising linearly with depth."""
    channels: int = Field(1, ge=1, le=MAX_CHANNELS, json_schema_extra=LATER)
    """Contrasts of a scan that its stem takes. A pretraining sets it to those of its store."""

    @model_validator(mode="after")
    def _check_grid(self) -> EncoderConfig:
        for size, patch in zip(triple(self.image_size), triple(self.patch), strict=True):
            if patch < 1 or size < patch or size % patch:
                raise ValueError(f"image_size {size} is not a multiple of patch {patch}")
        return self

    @property
    def width(self) -> int:
        return PRESETS[self.preset][0]

    @property
    def depth(self) -> int:
        return PRESETS[self.preset][1]

    @property
    def heads(self) -> int:
        return PRESETS[self.preset][2]

    @property
    def name(self) -> str:
        return f"VolTA {self.preset}"

    @property
    def pooling(self) -> str:
        return "CLS"

    @property
    def pyramid(self) -> tuple[tuple[int, int], ...]:
        return ()

    @property
    def has_blocks(self) -> bool:
        return True

    @property
    def wants(self) -> str:
        return "z-scores in the brain, 0 outside it"

    @property
    def size_xyz(self) -> Triple:
        return triple(self.image_size)

    @property
    def patch_xyz(self) -> Triple:
        return triple(self.patch)

    @property
    def grid_xyz(self) -> Triple:
        """Patch tokens along each axis of the training crop."""
        (a, b, c), (p, q, r) = self.size_xyz, self.patch_xyz
        return a // p, b // q, c // r
