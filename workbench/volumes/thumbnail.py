"""A coarse picture of a scan, by which the same image is known again under another name.

From each picture the mean of all is taken away, since any two brains look alike; what is left is the person and the
scanner. 12³ cells are laid over the brain by its centre and extent along each axis, so that neither the box, nor the
grid the file was stored on, nor its intensity scale matters.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from workbench.volumes.resample import canonical
from workbench.volumes.volume import Volume

ALIKE = 0.95
"""Correlation from which two pictures count as one image; what was measured says ``prepare.duplicates``."""
CELLS = 12
REACH = 2.3  # standard deviations of the brain's voxels along an axis; of an ellipsoid, 2.24 reach its surface


def thumbnail(scan: np.ndarray) -> np.ndarray:
    """Mean intensity in 12³ cells over the brain, float32, mean 0 and standard deviation 1.

    Args:
        scan: A prepared scan ``(X, Y, Z)``; 0 is background.
    """
    brain = scan != 0
    out = scan.astype(np.float32)
    for axis in range(3):
        counts = np.count_nonzero(brain, axis=tuple(a for a in range(3) if a != axis)).astype(float)
        places = np.arange(len(counts)) + 0.5
        centre = np.average(places, weights=counts)
        spread = max(float(np.sqrt(np.average((places - centre) ** 2, weights=counts))), 0.5)
        edges = centre + np.linspace(-REACH, REACH, CELLS + 1) * spread
        voxels = np.arange(len(counts))
        overlap = np.minimum(edges[1:, None], voxels + 1) - np.maximum(edges[:-1, None], voxels)
        share = (np.clip(overlap, 0, None) / (edges[1] - edges[0])).astype(np.float32)  # (cells, voxels)
        out = np.tensordot(out, share, axes=(0, 1))  # the next axis comes to the front
    return (out - out.mean()) / max(float(out.std()), 1e-6)


def coarse_thumbnail(volume: Volume, step_mm: float = 3.0) -> np.ndarray:
    """``thumbnail`` of a scan as it lies on disk: turned to RAS, thinned to ``step_mm``, its background set to 0.

    The background is what is exactly 0 where that is much (a stripped brain), else what is darker than a fifth of the
    bright tissue; the same rule for both of two copies, which is what they are compared by.
    """
    step = [max(1, int(step_mm / edge)) for edge in volume.spacing]
    thin = volume.data[:: step[0], :: step[1], :: step[2]].astype(np.float32)
    affine = volume.affine.copy()
    affine[:3, :3] = affine[:3, :3] * step
    data = canonical(Volume(thin, affine)).data
    if np.count_nonzero(data) > 0.9 * data.size:
        data = np.where(data > 0.2 * np.percentile(data, 98), data, 0)
    return thumbnail(data) if data.any() else np.zeros((CELLS,) * 3, np.float32)


class Rows(Protocol):
    """Pictures ``(scans, 12³)`` of any float type, in memory or not: some rows at a time are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray: ...


def alike_pairs(
    pictures: Rows, first: np.ndarray, second: np.ndarray, alike: float = ALIKE, *, once: bool = False, rows: int = 500
) -> Iterator[tuple[int, int, float]]:
    """Pairs of pictures that are nearly one image.

    Args:
        pictures: All of them make the mean that is taken away, so with fewer than four nothing is found.
        first, second: Rows to compare with each other, in ascending order.
        alike: Correlation from which a pair is given.
        once: Only pairs whose row of ``first`` is the lower one: half the work where both are the same rows.
        rows: So many of ``second`` at a time, and twice as many of ``first``: 1,000 pictures are 7 MB.

    Yields:
        A row of ``first``, a row of ``second``, their correlation.
    """
    if len(pictures) < 4 or not len(first) or not len(second):
        return
    every = np.arange(len(pictures))
    total = sum(pictures[every[at : at + rows]].sum(axis=0, dtype=np.float64) for at in range(0, len(every), rows))
    mean = (total / len(every)).astype(np.float32)

    def centred(which: np.ndarray) -> np.ndarray:
        some = pictures[which].astype(np.float32)
        some -= mean
        some /= np.maximum(np.sqrt(np.einsum("ij,ij->i", some, some)), 1e-6)[:, None]
        return some

    for start in range(0, len(second), rows):
        chosen = second[start : start + rows]
        these = centred(chosen)
        for begin in range(0, len(first), 2 * rows):
            those = first[begin : begin + 2 * rows]
            if once and those[0] >= chosen[-1]:
                break
            table = these @ centred(those).T
            for i, j in np.argwhere(table >= alike):
                if not once or those[j] < chosen[i]:
                    yield int(those[j]), int(chosen[i]), float(table[i, j])


def encode(picture: np.ndarray) -> str:
    """A thumbnail as text for a JSON sidecar (float16, base64)."""
    return base64.b64encode(picture.astype("<f2").tobytes()).decode()


def decode(text: str) -> np.ndarray:
    """What ``encode`` wrote, as a flat float32 array."""
    return np.frombuffer(base64.b64decode(text), "<f2").astype(np.float32)
