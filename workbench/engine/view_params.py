"""One view of a scan as it was drawn: where it lies, and how its intensities change. What makes it is elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from workbench.engine.bend import Bend
from workbench.volumes.volume import Triple

# z-scored intensities are shifted by this many standard deviations before anything multiplicative is done to them, so
# that they behave like raw intensities: practically all of a brain lies above -4
SHIFT = 4.0


@dataclass(frozen=True)
class ViewParams:
    """One view of one scan, drawn but not applied."""

    matrix: np.ndarray  # (3, 4) view voxel -> source voxel
    gamma: float  # log of the exponent
    bias: np.ndarray  # (10,) coefficients of a quadratic field
    noise: float  # standard deviation
    blur: float  # standard deviation in voxels of the view
    seed: int  # of the noise
    bend: Bend | None = None  # of the scan's places
    kept: np.ndarray | None = (
        None  # (2, 3) source voxels [low, high): as if the scan ended there; all of it unless given
    )

    def box(self, size: Triple) -> tuple[np.ndarray, np.ndarray]:
        """Source voxels ``[low, high)`` that this view touches, one voxel wider for interpolation."""
        corners = np.stack(np.meshgrid(*[(0, n - 1) for n in size], indexing="ij"), -1).reshape(-1, 3)
        source = corners @ self.matrix[:, :3].T + self.matrix[:, 3]
        moved = np.zeros(3) if self.bend is None else self.bend.reach
        return np.floor(source.min(0) - moved).astype(int), np.ceil(source.max(0) + moved).astype(int) + 2

    def box_inside(self, size: Triple, shape: Triple) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The part of ``box`` that is kept of a scan of ``shape``, ``[low, high)``, and the matrix (3, 4) into it."""
        low, high = self.box(size)
        first, end = (np.zeros(3, int), np.array(shape)) if self.kept is None else self.kept
        low, high = np.maximum(low, first), np.minimum(high, end)
        return low, high, np.concatenate([self.matrix[:, :3], self.matrix[:, 3:] - low[:, None]], axis=1)


def identity_view(shape: Triple) -> ViewParams:
    """The scan as it is."""
    return ViewParams(np.eye(3, 4), 0.0, np.zeros(10), 0.0, 0.0, 0)


def box_corner(params: ViewParams, into_box: np.ndarray) -> np.ndarray:
    """The first voxel of the box that was read, in the scan: by as much the two matrices differ."""
    return params.matrix[:, 3] - into_box[:, 3]


def blur_radius(sigma: float) -> int:
    """Voxels to either side that a Gaussian of ``sigma`` voxels reaches."""
    return math.floor(3 * sigma) + 1
