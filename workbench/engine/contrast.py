"""Another contrast for the same anatomy: intensities go through a random curve (after the non-linear intensity
transformation of Models Genesis, Zhou et al., arXiv 1908.06912, section 3.2; here piecewise linear, and not monotonic
where it is strong), or are drawn anew from a label map (a Gaussian a kind of tissue, as in SynthSeg, Billot et al.,
arXiv 2107.09559, section 3.1)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

KNOTS, REACH = 8, 3.0  # a curve's knots lie evenly from -REACH to REACH standard deviations of the brain


def draw_curve(rng: np.random.Generator, strength: float) -> np.ndarray:
    """Heights ``(KNOTS,)`` float32 of one curve: the straight line, each knot moved by N(0, ``strength``)."""
    line = np.linspace(-REACH, REACH, KNOTS)
    return (line + strength * rng.standard_normal(KNOTS)).astype(np.float32)


def remap(views: Tensor, curves: Tensor) -> Tensor:
    """``views (V, 1, X, Y, Z)`` through ``curves (V, KNOTS)``; the brain's mean is 0 and its deviation 1 afterwards, so
    that only the contrast tells. Beyond the last knots a curve is level. What is outside the brain (0) stays 0."""
    outside = views == 0
    place = ((views + REACH) * ((KNOTS - 1) / (2 * REACH))).clamp_(0, KNOTS - 1)
    low = place.long().clamp_max_(KNOTS - 2)
    flat, heights = low.flatten(1), curves.to(views.device)
    below, above = (heights.gather(1, flat + step).view_as(views) for step in (0, 1))
    x = torch.lerp(below, above, place - low).masked_fill_(outside, 0)
    count = (~outside).flatten(1).sum(dim=1).clamp_min(1).view(-1, 1, 1, 1, 1)
    x -= x.sum(dim=(1, 2, 3, 4), keepdim=True) / count
    x.masked_fill_(outside, 0)
    deviation = (x.square().sum(dim=(1, 2, 3, 4), keepdim=True) / count).sqrt()
    return x / deviation.clamp_min(1e-3)


MEANS, DEVIATIONS = (0.0, 1.0), (0.02, 0.15)  # of a kind of tissue, drawn evenly; the scale is lost in the z-score


def draw_tissues(rng: np.random.Generator, labels: np.ndarray, kinds: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Intensities of a contrast that no scanner made, for the anatomy of a label map.

    Args:
        rng: Draws a mean and a standard deviation for each kind of tissue, and the voxels.
        labels: ``(X, Y, Z)`` codes, 0 and below are background.
        kinds: Kind of each code from 0 on: left and right of a structure are one. Codes beyond it are kinds of
            their own.
        brain: ``(X, Y, Z)`` bool; mean 0 and deviation 1 are those in it.

    Returns:
        float32 ``(X, Y, Z)``, 0 where there is no label and nowhere else.
    """
    beyond = int(labels.max(initial=0)) + 1 - len(kinds)
    if beyond > 0:
        kinds = np.concatenate([kinds, kinds.max() + 1 + np.arange(beyond, dtype=kinds.dtype)])
    count = int(kinds.max()) + 1
    mean, deviation = rng.uniform(*MEANS, count), rng.uniform(*DEVIATIONS, count)
    kind = kinds[np.maximum(labels, 0)]
    x = rng.standard_normal(labels.shape, dtype=np.float32)
    x *= deviation.astype(np.float32)[kind]
    x += mean.astype(np.float32)[kind]
    there = labels > 0
    inside = x[there & brain] if (there & brain).any() else x[there]
    if inside.size:
        x -= inside.mean()
        x /= max(float(inside.std()), 1e-3)
    x[x == 0] = np.float32(1e-4)  # 0 is background and nothing else
    x[~there] = 0
    return x
