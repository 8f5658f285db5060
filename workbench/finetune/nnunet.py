"""nnU-Net's augmentation (arXiv 1809.10486, supplement, and its trainer): the same odds and ranges, no mirroring."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

ODDS = 0.2  # of a turn, and apart from it of another size
TURN, SMALLEST, LARGEST = 30.0, 0.7, 1.4  # degrees; sizes


def draw_nnunet(rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """Size of a step of the crop in voxels, and turns about each axis in degrees; mostly 1 and none."""
    turned, sized = rng.random(2) < ODDS
    turns, zoom = rng.uniform(-TURN, TURN, 3), rng.uniform(SMALLEST, LARGEST)
    return zoom if sized else 1.0, turns if turned else np.zeros(3)


class NnunetIntensities:
    """Noise, blur, brightness, contrast, lower resolution and gamma, in nnU-Net's order."""

    def __init__(self) -> None:
        from monai import transforms as t

        blur = (0.5, 1.0)
        self.chain = t.Compose(
            [
                t.RandGaussianNoise(prob=0.1, std=0.1**0.5),
                t.RandGaussianSmooth(prob=0.2, sigma_x=blur, sigma_y=blur, sigma_z=blur),
                t.RandScaleIntensity(prob=0.15, factors=0.25),
                t.RandScaleIntensityFixedMean(prob=0.15, factors=0.25, preserve_range=True),
                t.RandSimulateLowResolution(prob=0.25, zoom_range=(0.5, 1.0)),
                t.RandAdjustContrast(prob=0.1, gamma=(0.7, 1.5), invert_image=True, retain_stats=True),
                t.RandAdjustContrast(prob=0.3, gamma=(0.7, 1.5), retain_stats=True),
            ]
        )

    def __call__(self, image_1XYZ: Tensor, seed: int) -> Tensor:
        """Another image of the same shape, drawn from ``seed`` alone."""
        if float(image_1XYZ.max()) == float(image_1XYZ.min()):
            return image_1XYZ  # a crop beside the brain has no contrast to change
        self.chain.set_random_state(seed=seed % 2**32)
        changed = self.chain(image_1XYZ)
        return torch.as_tensor(changed).as_subclass(Tensor).to(image_1XYZ.dtype)
