"""The common frame: one grid, and for each scan the way from its millimetres to the scan's own.

Of the proportional box (Talairach & Tournoux 1988, in its plainest form): the boxes around all brains, along the
world's axes, become one box of their mean size, with 0 in its middle. Left stays left, for axes are stretched and never
turned.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workbench.errors import ConfigError, ScanError
from workbench.prepare.mask import find_mask
from workbench.volumes import Grid, Volume, canonical, read_volume, resample
from workbench.volumes.regrid import regrid


@dataclass(frozen=True)
class Frame:
    """A grid whose axes run right, anterior and superior, and the box that brains fill in it."""

    grid: Grid
    low: np.ndarray
    high: np.ndarray
    """Corners of the box ``(3,)`` in mm of the frame."""

    @property
    def middle(self) -> np.ndarray:
        return (self.low + self.high) / 2

    def octants(self) -> dict[str, np.ndarray]:
        """The eight parts that the box's middle makes, by name: masks on the grid. They need no labels."""
        voxels = np.stack(np.meshgrid(*map(np.arange, self.grid.shape), indexing="ij"), -1)
        right, front, top = np.moveaxis(self.grid.to_world(voxels) > self.middle, -1, 0)
        return {
            f"{side}, {way}, {level}": (right == (side == "right"))
            & (front == (way == "front"))
            & (top == (level == "top"))
            for side in ("left", "right")
            for way in ("front", "back")
            for level in ("top", "bottom")
        }


def brain_corners(brain: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the box around a brain ``(3,)``, at the outer edges of its voxels, in world mm.

    Args:
        brain: Bool ``(X, Y, Z)``.
        grid: Axis-aligned, RAS+, as the store's are.

    Raises:
        ScanError: there is no brain.
    """
    ends = [np.flatnonzero(brain.any(axis=tuple({0, 1, 2} - {k}))) for k in range(3)]
    if not all(map(len, ends)):
        raise ScanError("no brain in the prepared scan", remedy="look at the scan and its mask")
    return grid.to_world(np.array([e[0] for e in ends]) - 0.5), grid.to_world(np.array([e[-1] for e in ends]) + 0.5)


def box_frame(size: np.ndarray, spacing: float) -> Frame:
    """The frame of a box of ``size`` mm about 0, with a voxel of room on every side."""
    half = np.asarray(size, float) / 2
    reach = np.ceil(half / spacing) + 1  # voxels on either side of the middle one
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = -reach * spacing
    x, y, z = (int(n) for n in 2 * reach + 1)
    return Frame(Grid((x, y, z), affine), -half, half)


def template_frame(path: Path, spacing: float) -> tuple[Frame, Volume]:
    """The frame of a template file, in its own millimetres, and the template on that grid (0 outside its brain).

    Raises:
        ConfigError: it is a whole head.
        ScanError: it cannot be read.
    """
    template = canonical(read_volume(path))
    mask, kind = find_mask(template, "auto", None)
    if kind == "head":
        raise ConfigError(
            f"{path}: a template of a whole head",
            cause="brains are registered to it, without skull",
            remedy="give the template's brain alone (of MNI152 the one called “brain”)",
        )
    upright = canonical(mask)
    world, half = upright.grid.to_world(np.argwhere(upright.data)), np.array(upright.spacing) / 2
    low, high = world.min(axis=0) - half, world.max(axis=0) + half
    affine = (about_0 := box_frame(high - low, spacing).grid).affine.copy()
    affine[:3, 3] += (low + high) / 2
    grid = Grid(about_0.shape, affine)
    darkest = min(float(template.data.min()), 0.0)  # what is brain must differ from the 0 around it
    brain = Volume(np.where(upright.data, template.data - darkest, 0).astype(np.float32), upright.affine)
    inside = resample(Volume(upright.data.astype(np.float32), upright.affine), grid).data >= 0.5
    return Frame(grid, low, high), Volume(np.where(inside, resample(brain, grid).data, 0), affine)


def from_box(frame: Frame, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Matrix ``(4, 4)`` from the frame's mm to a scan's world mm that brings box onto box."""
    out = np.diag([*((high - low) / (frame.high - frame.low)), 1.0])
    out[:3, 3] = low - out[:3, :3] @ frame.low
    return out


def onto(volume: Volume, frame: Frame, there: np.ndarray, *, order: int = 1) -> np.ndarray:
    """A scan's volume on the frame's grid, float32; 0 where the volume has no voxel.

    Args:
        volume: In the scan's world.
        frame: The common frame.
        there: ``(4, 4)``, from the frame's mm to the scan's.
        order: Of the interpolation.
    """
    return regrid(volume, Grid(frame.grid.shape, there @ frame.grid.affine), order=order, fill=0.0).data
