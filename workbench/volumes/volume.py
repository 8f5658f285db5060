"""An array and its affine, never one without the other."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import nibabel as nib
import numpy as np

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Grid:
    """Where the voxels of a volume lie: shape ``(X, Y, Z)`` and a 4×4 voxel → RAS+ world (mm) affine."""

    shape: Triple
    affine: np.ndarray

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel in mm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in ml, of sheared ones too."""
        return abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000

    def corners(self) -> np.ndarray:
        """Indices of the eight outermost voxels ``(8, 3)``."""
        return np.array(list(itertools.product(*[(0, n - 1) for n in self.shape])), dtype=float)

    @property
    def axcodes(self) -> str:
        """Nearest anatomical directions of the three axes, for example ``"RAS"`` or ``"PSR"``."""
        return _axcodes(np.ascontiguousarray(self.affine, dtype=np.float64).tobytes())

    def to_world(self, ijk: np.ndarray) -> np.ndarray:
        """Voxel indices ``(..., 3)`` → RAS+ world millimetres ``(..., 3)``."""
        return np.asarray(ijk) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_voxel(self, xyz: np.ndarray) -> np.ndarray:
        """RAS+ world millimetres ``(..., 3)`` → fractional voxel indices ``(..., 3)``."""
        inverse = np.linalg.inv(self.affine)
        return np.asarray(xyz) @ inverse[:3, :3].T + inverse[:3, 3]


@functools.lru_cache(maxsize=256)
def _axcodes(affine: bytes) -> str:
    """A cohort asks it several times a scan, and it takes a decomposition; most scans share few affines."""
    return "".join(nib.aff2axcodes(np.frombuffer(affine).reshape(4, 4)))


@dataclass(frozen=True)
class Volume:
    """A 3D array ``(X, Y, Z)`` with the affine that says where it lies."""

    data: np.ndarray
    affine: np.ndarray

    def __post_init__(self) -> None:
        if self.data.ndim != 3 or self.affine.shape != (4, 4):
            raise ValueError(f"a volume is 3D with a 4x4 affine, not {self.data.shape} with {self.affine.shape}")

    @property
    def grid(self) -> Grid:
        x, y, z = self.data.shape
        return Grid((x, y, z), self.affine)

    @property
    def spacing(self) -> tuple[float, float, float]:
        return self.grid.spacing

    @property
    def axcodes(self) -> str:
        return self.grid.axcodes
