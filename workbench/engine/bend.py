"""Bent anatomy: the places of a scan moved by a smooth random field, so that one brain has the shapes of many.

A field is given by knots that lie evenly over the scan's box, from its first voxel to its last, and is trilinear
between them (level beyond). With it a view's voxel v shows the scan's place ``y + field(y)``, y = matrix · v.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.volumes.volume import Triple

KNOTS = 5  # along each axis
APART = 1e6  # voxels between two scans whose places nobody can compare: none of one lies in a view of the other
MOST = 2.0  # standard deviations that a knot is moved at most: with `strength` up to 0.03 no place is folded over


@dataclass(frozen=True)
class Bend:
    """One field: displacements ``knots (3, KNOTS, KNOTS, KNOTS)`` in voxels of the scan, float32, and how many knots a
    voxel is, ``scale (3,)``."""

    knots: np.ndarray
    scale: np.ndarray

    @property
    def reach(self) -> np.ndarray:
        """Voxels by which a place is moved at most, by axis."""
        return np.abs(self.knots).reshape(3, -1).max(axis=1)


def draw_bend(rng: np.random.Generator, strength: float, shape: Triple) -> Bend:
    """Draw a field for a scan of ``shape`` voxels; ``strength`` is the knots' standard deviation as a share of the
    box's edge."""
    extent = np.array(shape, float)
    moved = np.clip(rng.standard_normal((3, KNOTS, KNOTS, KNOTS)), -MOST, MOST) * strength
    scale = (KNOTS - 1) / np.maximum(extent - 1, 1)
    return Bend((moved * extent[:, None, None, None]).astype(np.float32), scale)


@dataclass(frozen=True)
class Placement:
    """Where views lie in their scans: ``matrices (…, 3, 4)`` from a view's voxel to the scan's, the scans' ``shapes
    (…, 3)`` in voxels, and, where the anatomy is bent, the ``knots (…, 3, K, K, K)`` of the fields. Where the views are
    of different scans of a person, ``shifts (…, 3)`` take each scan's voxels to those of the first."""

    matrices: Tensor
    shapes: Tensor
    knots: Tensor | None = None
    shifts: Tensor | None = None

    def other_view(self) -> Placement:
        """The two views exchanged (first axis)."""
        more = (None if part is None else part.flip(0) for part in (self.knots, self.shifts))
        return Placement(self.matrices.flip(0), self.shapes.flip(0), *more)

    def flat(self) -> Placement:
        """Views and scans as one axis."""
        more = (None if part is None else part.flatten(0, 1) for part in (self.knots, self.shifts))
        return Placement(self.matrices.flatten(0, 1), self.shapes.flatten(0, 1), *more)

    def in_box(self, size: Triple) -> Tensor:
        """The same matrices between shares: of a view of ``size`` voxels, -1 to 1 from its first voxel to its last, to
        shares of the scan's box ``(…, 3, 4)``. Bending is left out."""
        half_view = (torch.tensor(size, dtype=self.matrices.dtype, device=self.matrices.device) - 1) / 2
        half_box = (self.shapes - 1).clamp_min(1) / 2
        linear, offset = self.matrices[..., :3], self.matrices[..., 3]
        centre = (linear @ half_view + offset - half_box) / half_box
        return torch.cat([linear * half_view / half_box.unsqueeze(-1), centre.unsqueeze(-1)], dim=-1)

    def field(self, places_BN3: Tensor) -> Tensor:
        """Displacement of places ``(B, N, 3)`` in scan voxels."""
        if self.knots is None:
            return torch.zeros_like(places_BN3)
        return displacement(places_BN3, self.knots, (KNOTS - 1) / (self.shapes - 1).clamp_min(1))

    def to_scan(self, voxels_BN3: Tensor) -> Tensor:
        """Places in the views ``(B, N, 3)``, voxels from 0, → the places of the (first) scan that are seen there."""
        y = voxels_BN3 @ self.matrices[:, :, :3].transpose(1, 2) + self.matrices[:, None, :, 3]
        y = y + self.field(y)
        return y if self.shifts is None else y + self.shifts[:, None]

    def from_scan(self, places_BN3: Tensor) -> Tensor:
        """The inverse of `to_scan`. The field is undone by iteration: it shrinks distances, so each round is closer."""
        if self.shifts is not None:
            places_BN3 = places_BN3 - self.shifts[:, None]
        y = places_BN3
        for _ in range(ROUNDS if self.knots is not None else 0):
            y = places_BN3 - self.field(y)
        return (y - self.matrices[:, None, :, 3]) @ torch.linalg.inv(self.matrices[:, :, :3]).transpose(1, 2)


ROUNDS = 24  # at the strongest bend a place is then known to a few hundredths of a voxel


def displacement(places_BN3: Tensor, knots: Tensor, scale: Tensor) -> Tensor:
    """The field at places ``(B, N, 3)`` in scan voxels, ``(B, N, 3)`` voxels; ``knots (B, 3, K, K, K)``."""
    at = places_BN3 * scale[:, None] * (2 / (KNOTS - 1)) - 1  # -1 and 1 at the outer knots
    grid = at.flip(-1)[:, :, None, None]  # torch counts the last axis first
    sampled = F.grid_sample(knots, grid.to(knots.dtype), mode="bilinear", padding_mode="border", align_corners=True)
    return sampled[..., 0, 0].transpose(1, 2).to(places_BN3.dtype)
