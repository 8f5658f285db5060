"""One participant's anatomy as a function of world coordinates, ready to be looked at on any scanner's grid.

A world point is taken back to the template (head position, head size, a smooth random warp); there the tissue shares
and the shapes are read. Image and label map come from the same reading at the same points, so the labels are exact.
A shape's level is read off its field on a fine grid in the person's world: the value below which the planted volume
lies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from workbench.simulate.atlas import HIPPOCAMPUS_RADIUS, Atlas
from workbench.simulate.design import Person
from workbench.simulate.sites import rotation
from workbench.volumes import Grid

CODES = {"Left-Lateral-Ventricle": 4, "Left-Hippocampus": 17, "Right-Lateral-Ventricle": 43, "Right-Hippocampus": 53}

TUMOUR_CODES = {"Necrotic-Tumor-Core": 201, "Enhancing-Tumor": 202, "Peritumoral-Edema": 203}

# the random warp: (standard deviation of the displacement, mm; correlation length, mm)
WARPS = ((3.0, 26.0), (1.1, 8.0))
WARP_STEP = 5.0  # mm between the nodes of the displacement field
POSE_MM, POSE_DEG = 4.0, 3.0  # standard deviations of the head's position in the scanner
FAR = 99.0  # mm outside the brain, said of points beyond the template's grid
HEAD_LAYERS = (3.0, 8.0, 14.0)  # mm outside the brain: end of CSF, of the skull, of the scalp


@dataclass(frozen=True)
class Look:
    """An anatomy at ``N`` points: shares of tissue, labels, brain mask, distance outside the brain (mm)."""

    gm: np.ndarray
    wm: np.ndarray
    csf: np.ndarray
    labels: np.ndarray
    brain: np.ndarray
    outside: np.ndarray
    tumour: np.ndarray | None = None  # codes of TUMOUR_CODES, 0 elsewhere


class Anatomy:
    """The anatomy of one person. ``centre`` is the middle of the brain in world mm.

    ``session``: where it is not empty, the head lies in the scanner as it lay that day. ``tumour``: whether there is
    one.
    """

    def __init__(self, person: Person, atlas: Atlas, session: str = "", *, tumour: bool = False) -> None:
        self.person, self.atlas = person, atlas
        rng = person.rng("anatomy")
        scale = (person.icv_ml / atlas.brain_ml) ** (1 / 3)
        # heads are not all of one shape: axes differ a little, the volume stays the planted one
        shape = np.exp(rng.normal(0, 0.025, 3))
        self._stretch = scale * shape / shape.prod() ** (1 / 3)
        self._turn = rotation(rng.normal(0, POSE_DEG, 3).clip(-2 * POSE_DEG, 2 * POSE_DEG))
        self._shift = rng.normal(0, POSE_MM, 3).clip(-2 * POSE_MM, 2 * POSE_MM)
        self._warp = _random_warp(atlas.grid, rng)
        if session:
            day = person.rng(f"pose {session}")
            self._turn = rotation(day.normal(0, POSE_DEG, 3).clip(-2 * POSE_DEG, 2 * POSE_DEG))
            self._shift = day.normal(0, POSE_MM, 3).clip(-2 * POSE_MM, 2 * POSE_MM)
        self._level_hippocampus = {"left": 1.0, "right": 1.0}
        self._level_ventricle = 0.0
        self._fit_size()
        self._fit_levels()
        self._tumour = Tumour.draw(person.rng("tumour"), atlas) if tumour else None

    @property
    def centre(self) -> np.ndarray:
        return self._to_world(np.array([0.0, -18.0, 6.0]))

    def to_template(self, world: np.ndarray) -> np.ndarray:
        """World points ``(N, 3)`` mm → template (MNI) points ``(N, 3)`` mm."""
        mni = ((world - self._shift) @ self._turn) / self._stretch
        nodes = np.ascontiguousarray(((mni - self.atlas.grid.affine[:3, 3]) / WARP_STEP).T)
        move = [scipy.ndimage.map_coordinates(c, nodes, order=1, mode="nearest", output=np.float32) for c in self._warp]
        return mni + np.stack(move, axis=-1)

    def look(self, world: np.ndarray) -> Look:
        """Tissue and labels at world points ``(N, 3)`` mm."""
        near = self._near(world)
        mni = self.to_template(world[near])
        distance = self.atlas.sample("brain", mni)
        outside = np.full(len(world), FAR, np.float32)
        outside[near] = distance
        brain = outside < 0
        gm, wm = np.zeros(len(world), np.float32), np.zeros(len(world), np.float32)
        labels = np.zeros(len(world), np.uint8)
        gm[brain], wm[brain], labels[brain] = self._tissue(mni[distance < 0])
        if self._tumour is None:
            return Look(gm, wm, 1 - gm - wm, labels, brain, outside)
        tumour = np.zeros(len(world), np.uint8)
        tumour[brain] = self._tumour.codes(mni[distance < 0])
        return Look(gm, wm, 1 - gm - wm, np.where(tumour > 0, tumour, labels), brain, outside, tumour)

    def _near(self, world: np.ndarray) -> np.ndarray:
        """Indices of the points that the warp could take into the template's grid; most of a scan is air."""
        mni = (world - self._shift.astype(np.float32)) @ (self._turn / self._stretch).astype(np.float32)
        voxels = mni - self.atlas.grid.affine[:3, 3].astype(np.float32)
        return np.flatnonzero(((voxels > 0) & (voxels < np.subtract(self.atlas.grid.shape, 1))).all(axis=1))

    def _tissue(self, mni: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Grey and white shares and labels at template points inside the brain."""
        sample = self.atlas.sample
        gm, wm = sample("gm", mni), sample("wm", mni)
        left = mni[:, 0] < 0

        # cortex: whatever lies less than `thinning` below the outer surface gives way to CSF
        kept = np.clip(1 - (sample("pial", mni) + self.person.thinning_mm), 0, 1)
        gm, wm = gm * kept, wm * kept

        # ventricles: the template's own are filled with white matter, then the person's are opened; 1 mm soft border
        distance = sample("ventricle", mni)
        fill = np.clip(0.5 - distance, 0, 1)
        opened = np.clip(0.5 - (distance - self._level_ventricle), 0, 1)
        gm = gm * (1 - fill) * (1 - opened)
        wm = (wm * (1 - fill) + fill) * (1 - opened)

        # hippocampus: a sleeve of white matter and CSF (temporal horn) replaces the template's own, then it is painted
        radius = sample("hippocampus", mni)
        level = np.where(left, self._level_hippocampus["left"], self._level_hippocampus["right"]).astype(np.float32)
        sleeve = np.clip(0.5 - (radius - np.maximum(1.22, level + 0.22)) * HIPPOCAMPUS_RADIUS, 0, 1)
        horn = sample("horn", mni)
        inside = np.clip(0.5 - (radius - level) * HIPPOCAMPUS_RADIUS, 0, 1)
        gm = gm * (1 - sleeve) * (1 - inside) + inside
        wm = (wm * (1 - sleeve) + sleeve * (1 - horn)) * (1 - inside)

        labels = np.zeros(len(mni), np.uint8)
        ventricle, hippocampus = distance < self._level_ventricle, radius < level
        labels[ventricle] = np.where(left, CODES["Left-Lateral-Ventricle"], CODES["Right-Lateral-Ventricle"])[ventricle]
        labels[hippocampus] = np.where(left, CODES["Left-Hippocampus"], CODES["Right-Hippocampus"])[hippocampus]
        return gm, wm, labels

    def _fit_size(self) -> None:
        """The warp lets the brain swell or shrink a little; enlarging the world around it puts that right exactly."""
        values, _, cell = self._field_in_world("brain", below=0.0, step=4.0)
        self._stretch = self._stretch * (self.person.icv_ml * 1000 / (len(values) * cell)) ** (1 / 3)

    def _fit_levels(self) -> None:
        """Levels at which the shapes have the planted volumes in this person's world (warp and scale included)."""
        radius, left, cell = self._field_in_world("hippocampus", below=2.0)
        for side, here, volume in (
            ("left", left, self.person.left_hippocampus_mm3),
            ("right", ~left, self.person.right_hippocampus_mm3),
        ):
            self._level_hippocampus[side] = _level(radius[here], volume / cell)
        distance, left, cell = self._field_in_world("ventricle", below=11.0, step=1.5)
        self._level_ventricle = _level(distance, self.person.ventricles_ml * 1000 / cell)

    def _field_in_world(self, field: str, below: float, step: float = 1.25) -> tuple[np.ndarray, np.ndarray, float]:
        """Values of a field on a fine world grid where it is less than ``below``, the left side, mm³ per point."""
        near = np.argwhere(getattr(self.atlas, field)[::3, ::3, ::3] < below) * 3
        corners = self._to_world(self.atlas.grid.to_world(_corners(near.min(axis=0), near.max(axis=0))))
        reach = 9.0  # mm, more than the warp moves anything there
        low, high = corners.min(axis=0) - reach, corners.max(axis=0) + reach
        axes = [np.arange(a, b, step) for a, b in zip(low, high, strict=True)]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
        mni = self.to_template(points)
        values = self.atlas.sample(field, mni)
        keep = values < below
        return values[keep], mni[keep, 0] < 0, step**3

    def _to_world(self, mni: np.ndarray) -> np.ndarray:
        """The way back without the warp: good to a few mm."""
        return (mni * self._stretch) @ self._turn.T + self._shift


@dataclass(frozen=True)
class Tumour:
    """Shells about a place in the white matter, in template mm: ``radius (3,)`` is where necrotic core, enhancing rim
    and oedema end, on average over directions; ``waves (n, 3)`` and ``phases (n,)`` make the surface uneven."""

    centre: np.ndarray
    radius: np.ndarray
    waves: np.ndarray
    phases: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, atlas: Atlas) -> Tumour:
        deep = np.argwhere((atlas.wm[::4, ::4, ::4] > 0.7) & (atlas.ventricle[::4, ::4, ::4] > 6)) * 4
        centre = atlas.grid.to_world(deep[int(rng.integers(len(deep)))])
        core = rng.uniform(6.0, 11.0)
        radius = core * np.cumprod([1.0, rng.uniform(1.3, 1.6), rng.uniform(1.3, 1.7)])
        return cls(centre, radius, rng.normal(0, 0.12, (4, 3)), rng.uniform(0, 2 * np.pi, 4))

    def codes(self, mni: np.ndarray) -> np.ndarray:
        """Code of each template point ``(N, 3)``, 0 outside."""
        away = mni - self.centre
        uneven = 1 + 0.12 * np.sin(away @ self.waves.T + self.phases).sum(axis=1)
        ends = np.linalg.norm(away, axis=1)[:, None] < self.radius * uneven[:, None]
        shell = np.where(ends.any(axis=1), ends.argmax(axis=1), len(TUMOUR_CODES))
        return np.array([*TUMOUR_CODES.values(), 0], np.uint8)[shell]


def grid_points(grid: Grid) -> np.ndarray:
    """World coordinates ``(X·Y·Z, 3)`` mm of the voxel centres, C order, float32."""
    i, j, k = np.ogrid[: grid.shape[0], : grid.shape[1], : grid.shape[2]]
    columns = [(row[0] * i + row[1] * j + row[2] * k + row[3]).astype(np.float32) for row in grid.affine[:3]]
    return np.stack(columns, -1).reshape(-1, 3)


def _level(values: np.ndarray, count: float) -> float:
    """The value below which ``count`` of ``values`` lie."""
    whole = int(np.clip(round(count), 1, len(values) - 1))
    return float(np.partition(values, whole)[whole])


def _corners(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    ends = np.stack([low, high])
    return np.array([[ends[a, 0], ends[b, 1], ends[c, 2]] for a in (0, 1) for b in (0, 1) for c in (0, 1)])


def _random_warp(grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Displacements ``(3, X', Y', Z')`` mm on nodes ``WARP_STEP`` apart over ``grid``: low frequencies move lobes,
    the higher ones fold the cortex differently in each person."""
    shape = tuple(int(np.ceil(n / WARP_STEP)) + 2 for n in grid.shape)
    total = np.zeros((3, *shape), np.float32)
    for strength, length in WARPS:
        for component in total:
            pad = int(np.ceil(2 * length / WARP_STEP))  # so that the border moves as freely as the middle
            noise = rng.standard_normal([n + 2 * pad for n in shape], dtype=np.float32)
            noise = scipy.ndimage.gaussian_filter(noise, length / WARP_STEP, mode="wrap")
            noise *= strength / noise.std()
            component += noise[pad:-pad, pad:-pad, pad:-pad]
    return total
