"""Drawing the two views of a scan. Left-right flip only: a brain is never upside down."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from workbench.engine.bend import draw_bend
from workbench.engine.view_params import ViewParams
from workbench.pretrain.config import ViewSettings
from workbench.volumes.volume import Triple


def draw_view(
    rng: np.random.Generator,
    settings: ViewSettings,
    shape: Triple,
    size: Triple,
    scale: tuple[float, float] | None = None,
) -> ViewParams:
    """Draw one view of a scan of ``shape`` voxels for a crop of ``size`` voxels.

    The field of view is a box with the proportions of the crop that covers a share ``scale`` of the scan's box, or of
    what a cut left of it (``settings.scale`` unless given); its centre is uniform where the box fits inside, else the
    middle.
    """
    kept = draw_cut(rng, settings.cut, shape) if settings.cut else None
    first, end = (np.zeros(3), np.array(shape)) if kept is None else kept
    extent, crop = (end - first).astype(float), np.array(size, float)
    share = rng.uniform(*(scale or settings.scale))
    zoom = (share * extent.prod() / crop.prod()) ** (1 / 3)  # source voxels a view voxel spans
    field = crop * zoom
    slack = np.maximum(extent - field, 0) / 2
    centre = first + (extent - 1) / 2 + rng.uniform(-1, 1, 3) * slack
    angles = rng.uniform(-1, 1, 3) * settings.rotation
    linear = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * zoom
    if rng.random() < settings.flip:
        linear = linear @ np.diag([-1.0, 1.0, 1.0])  # the view's left-right axis runs the other way
    offset = centre - linear @ ((crop - 1) / 2)
    return ViewParams(
        matrix=np.concatenate([linear, offset[:, None]], axis=1),
        gamma=rng.uniform(-1, 1) * settings.gamma,
        bias=rng.uniform(-1, 1, 10) * settings.bias / 4,
        noise=rng.uniform(0, settings.noise),
        blur=rng.uniform(0, settings.blur) if rng.random() < 0.5 else 0.0,
        seed=int(rng.integers(2**62)),
        bend=draw_bend(rng, settings.bend, shape) if settings.bend else None,  # last: without it all else is as before
        kept=kept,
    )


def draw_intensities(rng: np.random.Generator, settings: ViewSettings, view: ViewParams) -> ViewParams:
    """The same place seen in a further contrast: what changes its intensities is drawn for it alone."""
    return replace(
        view,
        gamma=rng.uniform(-1, 1) * settings.gamma,
        bias=rng.uniform(-1, 1, 10) * settings.bias / 4,
        noise=rng.uniform(0, settings.noise),
        blur=rng.uniform(0, settings.blur) if rng.random() < 0.5 else 0.0,
        seed=int(rng.integers(2**62)),
    )


def draw_cut(rng: np.random.Generator, cut: float, shape: Triple) -> np.ndarray:
    """What is kept of a scan, ``[low, high)`` in voxels ``(2, 3)``: each of the six sides is cut with probability ½, by
    at most a share ``cut`` of the edge."""
    extent = np.array(shape)
    low, high = np.floor(rng.uniform(0, cut, (2, 3)) * (rng.random((2, 3)) < 0.5) * extent).astype(int)
    return np.stack([low, extent - high])


def whole_view(shape: Triple, size: Triple) -> ViewParams:
    """The view that covers the whole brain box, unturned and unchanged: what a probe looks at."""
    still = ViewSettings(scale=(1.0, 1.0), rotation=0, flip=0, gamma=0, bias=0, noise=0, blur=0)
    return draw_view(np.random.default_rng(0), still, shape, size)
