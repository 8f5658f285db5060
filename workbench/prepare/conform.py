"""One scan: mask → brain box → resample → N4 → clip → z-score → float16. Arrays in, arrays out; no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.errors import ScanError
from workbench.prepare.bias import correct_bias
from workbench.prepare.config import PrepareConfig
from workbench.prepare.mask import KINDS, find_mask
from workbench.volumes import Grid, Volume, spaced_grid
from workbench.volumes.regrid import regrid

ORDERS = {"linear": 1, "cubic": 3}
MAX_VOXELS = 512**3  # of a prepared scan: 256 MiB as float16
SEEN = 0.5  # of the brain must lie in the field of view of a further contrast
MIN_BRAIN = 512  # voxels: fewer carry neither percentiles nor a picture
TINY = np.float16(2.0**-14)  # stands for an exact 0 in the brain, so that `scan != 0` is the brain mask


@dataclass(frozen=True)
class Conformed:
    """A prepared scan and what is worth knowing about it."""

    scan: Volume
    """float16, RAS+ world-aligned, isotropic; z-scores in the brain, 0 outside it and nowhere else."""

    seg: Volume | None
    """int16 label codes on the same grid."""

    facts: dict[str, object]
    """mask, brain_voxels, brain_ml, mean, std, clip, seg_kept: for the sidecar."""

    further: tuple[np.ndarray, ...] = ()
    """Of several contrasts those after ``scan``, on its grid: float16 like it, all 0 where a person has none."""

    @property
    def voxels(self) -> np.ndarray:
        """What the store keeps: ``(X, Y, Z)``, with several contrasts ``(C, X, Y, Z)``."""
        return np.stack([self.scan.data, *self.further]) if self.further else self.scan.data


def conform(
    scan: Volume,
    config: PrepareConfig,
    *,
    seg: Volume | None = None,
    mask: Volume | None = None,
    further: Sequence[Volume | None] = (),
) -> Conformed:
    """Bring one scan onto the grid and the intensity scale that ``config`` asks for.

    Args:
        scan: Intensities, any orientation and spacing.
        config: The settings.
        seg: Label codes, on a grid of their own in the same world.
        mask: Brain mask, likewise.
        further: Other contrasts of the same session, likewise: resampled onto the grid of ``scan``, each with
            intensities of its own. None: this person has it not.

    Raises:
        ScanError: nothing sensible can be made of this scan.
    """
    brain_source, kind = find_mask(scan, config.mask, mask)
    grid = brain_grid(scan.grid, brain_source, config)
    brain = regrid(Volume(brain_source.data.astype(np.float32), brain_source.affine), grid, order=1).data >= 0.5
    voxels = int(brain.sum())
    if voxels < MIN_BRAIN:
        raise ScanError(
            "too little brain",
            cause=f"{voxels} voxels of {config.spacing:g} mm (mask: {KINDS[kind]})",
            remedy="look at the scan and its mask; use a smaller --spacing",
        )
    values, facts = _intensities(scan, grid, brain, config)
    facts |= {
        "mask": kind,
        "mask_said": KINDS[kind],
        "brain_voxels": voxels,
        "brain_ml": round(voxels * config.spacing**3 / 1000, 1),
    }
    labels = None
    if seg is not None:
        labels, facts["seg_kept"] = conform_labels(seg, grid)
    channels = [None if other is None else _further(other, grid, brain, config) for other in further]
    if further:
        facts["channels"] = [{} if one is None else one[1] for one in channels]
    empty = np.zeros(grid.shape, np.float16)
    others = tuple(empty if one is None else one[0] for one in channels)
    return Conformed(Volume(values, grid.affine), labels, facts, others)


def _intensities(
    scan: Volume, grid: Grid, brain: np.ndarray, config: PrepareConfig
) -> tuple[np.ndarray, dict[str, object]]:
    image = regrid(scan, grid, order=ORDERS[config.interpolation])
    if config.n4:
        image = correct_bias(image, brain)
    return normalise(image.data, brain, config.clip_percentile)


def _further(
    scan: Volume, grid: Grid, brain: np.ndarray, config: PrepareConfig
) -> tuple[np.ndarray, dict[str, object]]:
    """A further contrast where its field of view reaches; 0 where it does not, though the brain is there."""
    seen = brain & (regrid(Volume(np.ones(scan.data.shape, np.uint8), scan.affine), grid, order=0).data > 0)
    share = float(seen.sum() / brain.sum())
    if share < SEEN:
        raise ScanError(
            "a further contrast does not show the brain",
            cause=f"its field of view holds {share:.0%} of the brain of the first one",
            remedy="is it of another part of the body? else look at the affines of the two",
        )
    values, facts = _intensities(scan, grid, seen, config)
    return values, {**facts, "seen": round(share, 4)}


def brain_grid(source: Grid, brain: Volume, config: PrepareConfig) -> Grid:
    """The prepared grid: the world-aligned box of the brain and a margin, within the field of view."""
    world = brain.grid.to_world(_ends(brain.data))
    low, high = world.min(axis=0) - config.margin, world.max(axis=0) + config.margin
    corners = source.to_world(source.corners())
    low, high = np.maximum(low, corners.min(axis=0)), np.minimum(high, corners.max(axis=0))
    if (low > high).any():
        raise ScanError(
            "the brain mask lies outside the scan",
            cause="the two do not overlap in world coordinates",
            remedy="check the affines of the scan and of its mask",
        )
    grid = spaced_grid(source, config.spacing, (low, high))
    if int(np.prod(grid.shape, dtype=np.int64)) > MAX_VOXELS:
        raise ScanError(
            "the prepared scan would be too large",
            cause=f"{grid.shape} voxels of {config.spacing:g} mm",
            remedy="use a larger --spacing, or a brain mask",
        )
    return grid


def _ends(mask: np.ndarray) -> np.ndarray:
    """First and last voxel ``(n, 3)`` of each column of ``mask``: the corners of any box around it are among them."""
    i, j = np.nonzero(mask.any(axis=2))
    columns = mask[i, j]
    first, last = columns.argmax(axis=1), mask.shape[2] - 1 - columns[:, ::-1].argmax(axis=1)
    return np.concatenate([np.stack([i, j, first], 1), np.stack([i, j, last], 1)])


def normalise(image: np.ndarray, brain: np.ndarray, clip_percentile: float) -> tuple[np.ndarray, dict[str, object]]:
    """Clip to the percentiles of the brain, z-score in it, 0 outside it.

    Both ends are clipped (the lower at 100 - ``clip_percentile``): cubic interpolation and some exports leave a few
    voxels far below the rest.

    Args:
        image: ``(X, Y, Z)`` intensities.
        brain: ``(X, Y, Z)`` bool.
        clip_percentile: In (50, 100].

    Returns:
        float16 ``(X, Y, Z)``, and mean, std and clip limits in the scan's own units.
    """
    inside = image[brain].astype(np.float32)
    low, high = (float(p) for p in np.percentile(inside, [100 - clip_percentile, clip_percentile]))
    inside = np.clip(inside, low, high)
    mean, std = float(inside.mean(dtype=np.float64)), float(inside.std(dtype=np.float64))
    if not std > 1e-6 * max(abs(mean), abs(high), 1e-30):
        raise ScanError(
            "no contrast in the brain",
            cause=f"every voxel in the mask is about {mean:g}",
            remedy="look at the scan and its mask",
        )
    z = ((inside - mean) / std).astype(np.float16)
    z[z == 0] = TINY
    out = np.zeros(image.shape, np.float16)
    out[brain] = z
    return out, {"mean": mean, "std": std, "clip": [low, high]}


def conform_labels(seg: Volume, grid: Grid) -> tuple[Volume, float]:
    """Label codes on ``grid`` as int16 (nearest voxel), and the share of the labelled volume that it kept."""
    limits = np.iinfo(np.int16)
    low, high = int(seg.data.min()), int(seg.data.max())
    if low < limits.min or high > limits.max:
        raise ScanError(
            "label codes do not fit",
            cause=f"they run from {low} to {high}; int16 is what the store holds",
            remedy="renumber the labels, or leave this segmentation out of the cohort",
        )
    labels = regrid(Volume(seg.data.astype(np.int16), seg.affine), grid, order=0)
    before = np.count_nonzero(seg.data) * seg.grid.voxel_ml
    after = np.count_nonzero(labels.data) * grid.voxel_ml
    if before and not after:
        raise ScanError(
            "the segmentation lies outside the brain",
            cause="scan and labels do not overlap in world coordinates",
            remedy="check the affines of the scan and of its segmentation",
        )
    return labels, round(float(after / before), 4) if before else 1.0
