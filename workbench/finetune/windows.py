"""From a network to class probabilities of a whole scan, and from there to the scan's own space."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, combinations

import numpy as np
import scipy
import torch
from torch import nn

from workbench.engine.device import arithmetic
from workbench.prepare.restore import to_source_space
from workbench.prepare.store import Store
from workbench.volumes import Volume
from workbench.volumes.volume import Triple


@torch.inference_mode()
def probabilities(
    model: nn.Module,
    scan: np.ndarray,
    *,
    crop: Triple,
    overlap: float,
    device: str,
    precision: str = "32-true",
    mirror: Sequence[str] = (),
) -> np.ndarray:
    """Class probabilities ``(classes, X, Y, Z)`` of a prepared scan ``(C, X, Y, Z)``, float32, by overlapping windows.

    Args:
        model: Gives logits of a window ``(1, C, x, y, z)``.
        scan: Its contrasts on the prepared grid, RAS+.
        crop: Edges of the windows.
        overlap: Of the windows, as a share of their edges.
        device: Where it is computed.
        precision: Of the arithmetic.
        mirror: Axes over whose mirror images, and all their combinations, probabilities are averaged.
    """
    from monai.inferers import sliding_window_inference

    model.eval()
    image = torch.from_numpy(scan.astype(np.float32))[None].to(device)
    axes = [2 + "xyz".index(name) for name in mirror]
    turned = list(chain.from_iterable(combinations(axes, n) for n in range(len(axes) + 1)))
    total: torch.Tensor | None = None
    for flips in turned:
        with arithmetic(device, precision):
            logits = sliding_window_inference(
                image.flip(flips), crop, 2, lambda x: model(x).float(), overlap=overlap, mode="gaussian"
            )
        assert isinstance(logits, torch.Tensor)
        found = logits.softmax(1).flip(flips)[0]
        total = found if total is None else total + found
    assert total is not None
    return (total / len(turned)).cpu().numpy()


def in_source_space(probs: np.ndarray, store: Store, scan: str) -> Volume:
    """Probabilities are interpolated onto the scan's own grid and the largest wins; what lies outside is background."""
    grid, source = store.grid(scan), store.source_grid(scan)
    moved = [to_source_space(p, grid, source, order=1, fill=1.0 if c == 0 else 0.0) for c, p in enumerate(probs)]
    return Volume(np.argmax([m.data for m in moved], axis=0).astype(np.uint8), source.affine)


def keep_largest(classes: np.ndarray, structures: int) -> np.ndarray:
    """Of each class 1 … ``structures`` its largest connected component (26 neighbours), the rest as background.

    Args:
        classes: ``(X, Y, Z)`` integers, 0 background.
        structures: Number of classes.

    Returns:
        A new array of the same shape and type. Of equally large components the first in memory stays.
    """
    kept = np.zeros_like(classes)
    for code in range(1, structures + 1):
        parts, count = scipy.ndimage.label(classes == code, structure=np.ones((3, 3, 3)))
        if count:
            kept[parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])] = code
    return kept
