"""Group masking in 3D: blocks of the volume, aligned to the patch grid, replaced before the student sees them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.engine.views import seeded_noise
from workbench.model.vit import by_patch
from workbench.pretrain.config import MaskSettings
from workbench.volumes.volume import Triple


def draw_mask(
    rng: np.random.Generator, settings: MaskSettings, ratio: float, size: Triple, patch: Triple
) -> np.ndarray:
    """Draw one mask on cells of ``settings.align`` voxels (the patch by default): bool, True = replaced.

    Blocks with edges uniform in [one cell, ``largest`` · axis] are laid until ``ratio`` of the volume is covered; of
    the last block only as many cells are kept as the ratio asks for, so that every volume of a batch has the same
    coverage.

    Raises:
        ValueError: the cells do not divide the crop.
    """
    cell = (settings.align,) * 3 if settings.align else patch
    if any(n % c for n, c in zip(size, cell, strict=True)):
        raise ValueError(f"mask cells of {cell} voxels do not divide the crop {size}")
    shape = np.array([n // c for n, c in zip(size, cell, strict=True)])
    mask = np.zeros(shape, bool)
    wanted, covered = round(ratio * mask.size), 0
    longest = np.maximum(np.floor(shape * settings.largest), 1).astype(int)
    while covered < wanted:
        edges = rng.integers(1, longest + 1)
        low = rng.integers(0, shape - edges + 1)
        block = tuple(slice(a, a + e) for a, e in zip(low, edges, strict=True))
        fresh = np.argwhere(~mask[block])
        for cell_index in fresh[: wanted - covered]:
            mask[tuple(low + cell_index)] = True
        covered += min(len(fresh), wanted - covered)
    return mask


def to_voxels(masks: Tensor, size: Triple) -> Tensor:
    """Cell masks ``(B, x, y, z)`` → voxel masks ``(B, 1, *size)``."""
    return F.interpolate(masks.unsqueeze(1).float(), size=size, mode="nearest").bool()


def to_tokens(masks_B1XYZ: Tensor, patch: Triple) -> Tensor:
    """Voxel masks → tokens that are wholly masked, ``(B, P)``."""
    return by_patch(masks_B1XYZ, patch).flatten(4).all(dim=-1).flatten(1)


def touched_tokens(masks_B1XYZ: Tensor, patch: Triple) -> Tensor:
    """Voxel masks → tokens of which any voxel is masked, on the patch grid ``(B, x, y, z)``."""
    return by_patch(masks_B1XYZ, patch).flatten(4).any(dim=-1)


def corrupt(views: Tensor, masks_B1XYZ: Tensor, fill: str, seeds: Sequence[int]) -> Tensor:
    """Replace the masked voxels of ``views (B, 1, X, Y, Z)`` by noise N(0, 1), zeros, or the voxels of the volume
    before it in the batch.

    Args:
        views: Clean views.
        masks_B1XYZ: True where a voxel is replaced.
        fill: ``noise``, ``zeros`` or ``other``.
        seeds: Of the noise, one a view, so that it does not depend on the batch a view is in.
    """
    if fill == "zeros":
        filling = torch.zeros_like(views)
    elif fill == "other":
        filling = views.roll(1, dims=0)
    elif views.device.type == "cpu":  # torch's generator is one thread's work, and most of its numbers are thrown away
        from workbench.engine import views_cpu

        return views_cpu.masked_by_noise(views, masks_B1XYZ, seeds)
    else:
        filling = seeded_noise(views, seeds)
    return torch.where(masks_B1XYZ, filling, views)
