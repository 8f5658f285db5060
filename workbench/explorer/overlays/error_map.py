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
    """A class 1 to 4 a voxel (of ``CLASSES`` or ``AGAINST``, in their order; 0 elsewhere), and the ml of each."""

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
    _same_grid(truth, prediction)
    true = np.zeros(truth.data.shape, np.int32)
    for i, some in enumerate(codes):
        true[np.isin(truth.data, list(some))] = i + 1
    told = np.where(prediction.data <= len(codes), prediction.data, 0)
    out = np.zeros(true.shape, np.uint8)
    out[(told > 0) & (told == true)] = 1
    out[(told > 0) & (true == 0)] = 2
    out[(told == 0) & (true > 0)] = 3
    out[(told > 0) & (true > 0) & (told != true)] = 4
    return Errors(Volume(out, truth.affine), _ml(out, truth))


def _same_grid(truth: Volume, prediction: Volume) -> None:
    if truth.data.shape != prediction.data.shape or not np.allclose(truth.affine, prediction.affine, atol=1e-3):
        raise ScanError(
            "true and predicted segmentation lie on different grids",
            cause=f"{truth.data.shape} and {prediction.data.shape} voxels, or other affines",
            remedy="run `workbench segment` again: it predicts in the scan's own space",
        )


def _ml(classes: np.ndarray, truth: Volume) -> tuple[float, float, float, float]:
    a, b, c, d = (float(n) * truth.grid.voxel_ml for n in np.bincount(classes.ravel(), minlength=5)[1:5])
    return a, b, c, d


AGAINST = (
    ("both correct", (60, 110, 230)),
    ("only A correct", (230, 97, 0)),
    ("only B correct", (70, 215, 125)),
    ("neither", (240, 228, 66)),
)


def against_map(
    truth: Volume, first: Volume, second: Volume, codes: Sequence[tuple[Sequence[int], int, int]]
) -> Errors:
    """Hold two predictions against the truth, voxel by voxel, where any of the three says a structure.

    Args:
        truth: Codes as the cohort has them.
        first: Prediction A.
        second: Prediction B.
        codes: Of each structure that both know: its codes in the truth, its code in A, its code in B. Every other
            code of any of them counts as background.

    Returns:
        1 both correct, 2 only A, 3 only B, 4 neither; "only A" holds what A rightly left out too.

    Raises:
        ScanError: the three lie on different grids.
    """
    for other in (first, second):
        _same_grid(truth, other)
    true, a, b = (np.zeros(truth.data.shape, np.int32) for _ in range(3))
    for i, (some, in_first, in_second) in enumerate(codes):
        true[np.isin(truth.data, list(some))] = i + 1
        a[first.data == in_first] = i + 1
        b[second.data == in_second] = i + 1
    said = (true > 0) | (a > 0) | (b > 0)
    out = np.where(said, np.where(a == true, np.where(b == true, 1, 2), np.where(b == true, 3, 4)), 0).astype(np.uint8)
    return Errors(Volume(out, truth.affine), _ml(out, truth))


def read_errors(truth: Path, prediction: Path, codes: Sequence[Sequence[int]]) -> Errors:
    """The same from files."""
    return error_map(read_volume(truth, labels=True), read_volume(prediction, labels=True), codes)
