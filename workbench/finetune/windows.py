"""From a network to class probabilities of a whole scan, and from there to the scan's own space."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from workbench.engine.device import arithmetic
from workbench.prepare.restore import to_source_space
from workbench.prepare.store import Store
from workbench.volumes import Volume
from workbench.volumes.volume import Triple


@torch.inference_mode()
def probabilities(
    model: nn.Module, store: Store, scan: str, *, crop: Triple, overlap: float, device: str, precision: str = "32-true"
) -> np.ndarray:
    """Class probabilities ``(classes, X, Y, Z)`` on the prepared grid, float32, by overlapping windows of ``crop``."""
    logits = window_logits(
        model, store.read_channels(scan), crop=crop, overlap=overlap, device=device, precision=precision
    )
    return logits.softmax(0).cpu().numpy()


@torch.inference_mode()
def window_logits(
    model: nn.Module, scan: np.ndarray, *, crop: Triple, overlap: float, device: str, precision: str = "32-true"
) -> torch.Tensor:
    """Logits ``(classes, X, Y, Z)`` of a prepared scan ``(C, X, Y, Z)``, float32, on ``device``."""
    from monai.inferers import sliding_window_inference

    model.eval()
    image = torch.from_numpy(scan.astype(np.float32))[None].to(device)
    with arithmetic(device, precision):
        logits = sliding_window_inference(image, crop, 2, lambda x: model(x).float(), overlap=overlap, mode="gaussian")
    assert isinstance(logits, torch.Tensor)
    return logits[0]


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
        parts, count = ndimage.label(classes == code, structure=np.ones((3, 3, 3)))
        if count:
            kept[parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])] = code
    return kept
