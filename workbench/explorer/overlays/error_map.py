"""Where a prediction is right and where it is not, voxel by voxel in the scan's own space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workbench.errors import ScanError
from workbench.volumes import Volume, read_volume

# colours a colour-blind reader can tell apart: green that is light, vermilion, blue, yellow
CLASSES = (
    ("correct", (110, 200, 140)),
    ("too much", (230, 97, 0)),
    ("missed", (60, 110, 230)),
    ("wrong structure", (240, 228, 66)),
)


@dataclass(frozen=True)
class Errors:
    """1 right, 2 too much, 3 missed, 4 a structure taken for another; and the volume of each in ml."""

    volume: Volume
    ml: tuple[float, float, float, float]


def error_map(truth: Volume, prediction: Volume, codes: Sequence[Sequence[int]]) -> Errors:
    """Compare label maps on one grid.

    Args:
        truth: Codes as the cohort has them.
        prediction: 0 background, ``i + 1`` for the structure ``codes[i]``.
        codes: The true codes of each structure; every other true code counts as background.

    Raises:
        ScanError: the two lie on different grids.
    """
    if truth.data.shape != prediction.data.shape or not np.allclose(truth.affine, prediction.affine, atol=1e-3):
        raise ScanError(
            "true and predicted segmentation lie on different grids",
            cause=f"{truth.data.shape} and {prediction.data.shape} voxels, or other affines",
            remedy="run `workbench segment` again: it predicts in the scan's own space",
        )
    true = np.zeros(truth.data.shape, np.int32)
    for i, some in enumerate(codes):
        true[np.isin(truth.data, list(some))] = i + 1
    told = np.where(prediction.data <= len(codes), prediction.data, 0)
    out = np.zeros(true.shape, np.uint8)
    out[(told > 0) & (told == true)] = 1
    out[(told > 0) & (true == 0)] = 2
    out[(told == 0) & (true > 0)] = 3
    out[(told > 0) & (true > 0) & (told != true)] = 4
    voxel = truth.grid.voxel_ml
    a, b, c, d = (float(n) * voxel for n in np.bincount(out.ravel(), minlength=5)[1:5])
    return Errors(Volume(out, truth.affine), (a, b, c, d))


def read_errors(truth: Path, prediction: Path, codes: Sequence[Sequence[int]]) -> Errors:
    """The same from files."""
    return error_map(read_volume(truth, labels=True), read_volume(prediction, labels=True), codes)
