"""Another contrast for the same anatomy: intensities go through a random curve (after the non-linear intensity
transformation of Models Genesis, Zhou et al., arXiv 1908.06912, section 3.2; here piecewise linear, and not monotonic
where it is strong)."""

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
