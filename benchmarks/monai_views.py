"""The peer of the loader: MONAI's CacheDataset with the random transforms that do what our views do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from monai import transforms as mt
from monai.data import CacheDataset

from benchmarks.synthetic import BOX
from workbench.pretrain.config import ViewSettings


def cached_views(volumes: list[np.ndarray], size: int, views: ViewSettings) -> CacheDataset:
    """``dataset[i]["image"]`` is a fresh random view ``(1, size, size, size)`` of volume ``i``.

    Crop, zoom and rotation are one `RandAffine`, as a user who minds the blur of two interpolations would write it.
    Volumes lie in memory as plain tensors: without the affine that MetaTensor keeps, which only costs time here.
    """
    smallest, largest = ((share * math.prod(BOX)) ** (1 / 3) / size for share in views.scale)
    turn = math.radians(views.rotation)
    chain = mt.Compose(
        [
            mt.EnsureTyped("image", track_meta=False),  # cached: it is not random
            mt.RandAffined(
                "image",
                prob=1.0,
                spatial_size=(size,) * 3,
                rotate_range=((-turn, turn),) * 3,
                scale_range=((smallest - 1, largest - 1),) * 3,
                translate_range=tuple((-(n - size) / 4, (n - size) / 4) for n in BOX),
                mode="bilinear",
                padding_mode="zeros",
            ),
            mt.RandFlipd("image", prob=views.flip, spatial_axis=0),
            mt.RandAdjustContrastd("image", prob=1.0, gamma=(math.exp(-views.gamma), math.exp(views.gamma))),
            mt.RandBiasFieldd("image", prob=1.0, degree=2, coeff_range=(-views.bias / 4, views.bias / 4)),
            mt.RandGaussianSmoothd(
                "image", prob=0.5, sigma_x=(0.05, views.blur), sigma_y=(0.05, views.blur), sigma_z=(0.05, views.blur)
            ),
            mt.RandGaussianNoised("image", prob=1.0, std=views.noise),
        ]
    )
    data: list[dict[str, Any]] = [{"image": volume[None].astype(np.float32)} for volume in volumes]
    return CacheDataset(data, chain, cache_rate=1.0, num_workers=1, progress=False)
