"""One structure twice on the same grid: what every measure of it is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from workbench.volumes import Grid

Empty = Literal["prediction", "truth", "both"]


@dataclass(frozen=True)
class Masks:
    """One structure twice on the same grid, as it was predicted and as it is.

    Args:
        predicted, truth: Bool ``(X, Y, Z)``.
        affine: Of that grid (4, 4): the lengths of its axes are the voxel's edges, its determinant the volume. The
            voxel's axes are taken to be at right angles for distances, as they are in all but sheared files.

    Raises:
        ValueError: the two are on different grids.
    """

    predicted: np.ndarray
    truth: np.ndarray
    affine: np.ndarray

    def __post_init__(self) -> None:
        if self.predicted.shape != self.truth.shape:
            raise ValueError(f"prediction {self.predicted.shape} and truth {self.truth.shape} are on different grids")

    @cached_property
    def empty(self) -> Empty | None:
        """Which of the two hold nothing."""
        if not self.volume_ml:
            return "prediction" if self.true_volume_ml else "both"
        return None if self.true_volume_ml else "truth"

    @cached_property
    def volume_ml(self) -> float:
        return float(self.predicted.sum()) * self.voxel_ml

    @cached_property
    def true_volume_ml(self) -> float:
        return float(self.truth.sum()) * self.voxel_ml

    @property
    def voxel_ml(self) -> float:
        return Grid(self.truth.shape, self.affine).voxel_ml

    @property
    def spacing(self) -> np.ndarray:
        """Edges of a voxel in mm, (3,)."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def diagonal_mm(self) -> float:
        """The largest distance in the field of view."""
        return float(np.linalg.norm(self.spacing * (np.array(self.truth.shape) - 1)))

    @cached_property
    def boxes(self) -> tuple[Any, Any]:
        """Both as tensors ``(1, 1, x, y, z)``, cut to where either is, with a rim of background.

        Distances elsewhere cost time and count for nothing; where a structure is cut off by the field of view, the cut
        is a surface of both.
        """
        import torch

        either = np.argwhere(self.predicted | self.truth)
        low, high = either.min(axis=0), either.max(axis=0) + 1
        box = tuple(slice(p, q) for p, q in zip(low, high, strict=True))
        predicted, truth = (torch.from_numpy(np.pad(mask[box], 2))[None, None] for mask in (self.predicted, self.truth))
        return predicted, truth
