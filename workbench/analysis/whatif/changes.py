"""What another scanner might do to a scan, by degrees. Every change is a function of the scan, a strength and a seed,
so that one curve has one noise and one bias field, only more of it.

Images here are ``(X, Y, Z)`` float32 on the prepared grid (RAS+), intensities at least 0 as a scanner stores them
(z-scores raised by ``SHIFT``), 0 outside the brain. After a change, intensities are normalised again as `prepare` does:
what is left is what preparing cannot undo.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from workbench.analysis.config import Change
from workbench.engine.view_params import SHIFT
from workbench.prepare.conform import normalise

GAMMA, BIAS, NOISE, BLUR, SLICES, GHOST, DEGREES = 2.0, 0.5, 0.5, 2.0, 4.0, 0.5, 20.0  # at strength 1


@dataclass(frozen=True)
class Changed:
    """A changed scan, its brain, and its labels where it has some."""

    scan: np.ndarray  # z-scores, 0 outside the brain
    brain: np.ndarray
    labels: np.ndarray | None


def change_scan(
    scan: np.ndarray, labels: np.ndarray | None, change: Change, strength: float, *, seed: int, clip_percentile: float
) -> Changed:
    """Apply a change and normalise again.

    Args:
        scan: Prepared z-scores ``(X, Y, Z)``, 0 outside the brain and nowhere else.
        labels: Codes on the same grid; only a rotation moves them.
        change: Which.
        strength: Share of the full strength; 0 only normalises again.
        seed: Of noise and bias field.
        clip_percentile: As the store was prepared with.
    """
    brain = scan != 0
    image = np.where(brain, np.maximum(scan.astype(np.float32) + SHIFT, 0), 0)
    if strength > 0 and change == "rotation":
        image, brain, labels = rotate(image, brain, labels, DEGREES * strength)
    elif strength > 0:
        image = np.where(brain, _image_change(image, brain, change, strength, seed), 0)
    values, _ = normalise(image, brain, clip_percentile)
    return Changed(values, brain, labels)


def change_channels(
    scan: np.ndarray, labels: np.ndarray | None, change: Change, strength: float, *, seed: int, clip_percentile: float
) -> Changed:
    """`change_scan` of each contrast of a scan ``(C, X, Y, Z)``; a rotation turns all alike, and bias field and noise
    are each contrast's own. What the scan has not stays 0."""
    first = change_scan(scan[0], labels, change, strength, seed=seed, clip_percentile=clip_percentile)
    others = [
        change_scan(one, None, change, strength, seed=seed + number, clip_percentile=clip_percentile).scan
        if one.any()
        else one
        for number, one in enumerate(scan[1:], start=1)
    ]
    return Changed(np.stack([first.scan, *others]), first.brain, first.labels)


def _image_change(image: np.ndarray, brain: np.ndarray, change: Change, strength: float, seed: int) -> np.ndarray:
    if change == "blur":
        return _within_brain(lambda x: gaussian(x, BLUR * strength), image, brain)
    if change == "thick_slices":
        return _within_brain(lambda x: thick_slices(x, 1 + (SLICES - 1) * strength), image, brain)
    if change == "ghosting":
        return ghost(image, GHOST * strength)
    return _monai(image, change, strength, seed)


def _monai(image: np.ndarray, change: Change, strength: float, seed: int) -> np.ndarray:
    from monai import transforms as mt

    volume = torch.from_numpy(image)[None]
    if change == "gamma":
        return np.asarray(mt.AdjustContrast(gamma=GAMMA**strength)(volume))[0]
    random: mt.RandomizableTransform
    if change == "bias":
        random = mt.RandBiasField(degree=3, coeff_range=(-BIAS * strength, BIAS * strength), prob=1.0)
    else:
        random = mt.RandRicianNoise(prob=1.0, mean=0.0, std=NOISE * strength, sample_std=False)
    random.set_random_state(seed=seed)  # the same draws at every strength, scaled
    return np.asarray(random(volume))[0]


def gaussian(image: np.ndarray, sigma: float) -> np.ndarray:
    from scipy import ndimage

    return ndimage.gaussian_filter(image, sigma, mode="constant")


def thick_slices(image: np.ndarray, factor: float) -> np.ndarray:
    """Slices ``factor`` times as thick along the superior axis, then brought back by linear interpolation."""
    volume, n = torch.from_numpy(image)[None, None], image.shape[2]
    x, y, _ = image.shape
    thick = F.adaptive_avg_pool3d(volume, (x, y, max(1, round(n / factor))))
    return F.interpolate(thick, size=image.shape, mode="trilinear", align_corners=False)[0, 0].numpy()


def ghost(image: np.ndarray, amplitude: float) -> np.ndarray:
    """A copy displaced by half the field of view along the anterior-posterior (phase) axis, as alternating k-space
    lines of unequal weight give; the field of view is the prepared box."""
    return image + amplitude * np.roll(image, image.shape[1] // 2, axis=1)


def rotate(
    image: np.ndarray, brain: np.ndarray, labels: np.ndarray | None, degrees: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The head turned about the superior axis through the middle of the box; labels by the nearest voxel."""
    from scipy import ndimage

    def turned(array: np.ndarray, order: int) -> np.ndarray:
        return ndimage.rotate(array, degrees, axes=(0, 1), reshape=False, order=order, mode="constant")

    inside = turned(brain.astype(np.float32), 1)
    moved = inside >= 0.5
    filled = np.where(moved, turned(image, 1) / np.maximum(inside, 0.5), 0)  # the edge is not mixed with background
    return filled.astype(np.float32), moved, None if labels is None else turned(labels, 0)


def _within_brain(smooth, image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """A linear smoothing of what is in the brain alone: the empty background is not mixed in at its edge."""
    weight = smooth(brain.astype(np.float32))
    return smooth(image) / np.maximum(weight, 1e-3)
