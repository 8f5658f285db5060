"""The mean anatomy that every simulated participant is bent from: MNI tissue maps and implicit shapes on one grid.

Tissue maps come from nilearn's packaged MNI152 templates (ICBM 2009a, symmetric, 1 mm), which need no network. nilearn
has no hippocampus, so that is a chain of ellipsoids along the true course of the hippocampus, checked by eye on the
template. Every shape is a scalar field whose level sets are the shape at different sizes; a participant's shape is one
level, found so that its volume is the planted one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy

from workbench.volumes import Grid

MARGIN = 18  # voxels (mm) around the brain, room for the skull and scalp of ``head=True``
SHARPEN = 2.0  # exponent on the tissue probabilities: a mean of 152 brains is softer than one brain

# Right hippocampus, MNI mm, head to tail: centre x y z, half width, half height, tilt of the width axis in the
# coronal plane (degrees, lateral end up). The left one is its mirror image; the template is symmetric.
HIPPOCAMPUS = np.array(
    [
        [22.5, -8.5, -21.5, 6.0, 4.6, 0.0],
        [25.0, -12.0, -19.5, 8.0, 4.9, 0.0],
        [28.0, -17.0, -16.3, 8.2, 4.6, 4.0],
        [30.5, -23.0, -13.2, 7.2, 4.2, 14.0],
        [31.0, -29.0, -10.2, 6.4, 3.8, 0.0],
        [29.3, -34.5, -6.6, 5.9, 3.6, -24.0],
        [25.0, -39.0, -1.8, 4.8, 3.4, -35.0],
    ]
)
HIPPOCAMPUS_RADIUS = 5.0  # mm that one unit of the hippocampus field is worth, on average over the surface


@dataclass(frozen=True)
class Atlas:
    """Fields on one 1 mm RAS+ grid in MNI space, all float32 ``(X, Y, Z)``.

    ``gm``, ``wm``: tissue shares; the rest of the brain is CSF. ``brain``: distance (mm) outside the brain, -1 inside.
    ``pial``: minus the depth (mm) below the outer surface of grey and white matter, 1 outside. ``ventricle``: signed
    distance (mm) to the surface of the lateral ventricles, negative inside. ``hippocampus``: 1 on the surface of the
    mean hippocampus, less inside. ``horn``: where space left by a shrunken hippocampus fills with CSF (1, the temporal
    horn) and where with white matter (0).
    """

    grid: Grid
    gm: np.ndarray
    wm: np.ndarray
    brain: np.ndarray
    pial: np.ndarray
    ventricle: np.ndarray
    hippocampus: np.ndarray
    horn: np.ndarray
    brain_ml: float

    def sample(self, field: str, mni: np.ndarray) -> np.ndarray:
        """Linear interpolation of a field at MNI coordinates ``(N, 3)`` mm → ``(N,)``."""
        voxels = (mni - self.grid.affine[:3, 3]).T  # the grid is 1 mm RAS+
        return scipy.ndimage.map_coordinates(getattr(self, field), voxels, order=1, mode="nearest", output=np.float32)


@lru_cache(maxsize=1)
def load_atlas() -> Atlas:
    """Read the packaged templates and build the fields (some seconds, once a process)."""
    from nilearn import datasets  # takes 1.5 s to import

    template = datasets.load_mni152_template(resolution=1)
    inside = np.asarray(template.dataobj) > 0
    low = np.array([axis.min() for axis in np.nonzero(inside)])
    high = np.array([axis.max() + 1 for axis in np.nonzero(inside)])

    def cut(image) -> np.ndarray:
        box = np.asarray(image.dataobj)[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        return np.pad(box.astype(np.float32), MARGIN)

    gm, wm = cut(datasets.load_mni152_gm_template(resolution=1)), cut(datasets.load_mni152_wm_template(resolution=1))
    gm, wm = _sharpen(gm, wm)
    brain = np.pad(inside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], MARGIN)
    brain = scipy.ndimage.binary_fill_holes(scipy.ndimage.binary_closing(brain, iterations=2)) > 0
    affine = np.eye(4)
    affine[:3, 3] = template.affine[:3, 3] + low - MARGIN
    x, y, z = brain.shape
    grid = Grid((x, y, z), affine)
    ventricle = _lateral_ventricles(gm + wm, brain, grid)
    tissue = (gm + wm > 0.5) | ventricle | scipy.ndimage.binary_dilation(ventricle, iterations=2)
    hippocampus, horn = _hippocampus(grid)
    # one side of a border is enough where the other is never asked for: a transform of the whole grid takes a second
    outside_brain = _border(scipy.ndimage.distance_transform_edt(~brain), brain)
    inside_tissue = _border(~tissue, scipy.ndimage.distance_transform_edt(tissue))
    # however wide the ventricles grow, a septum stays between them
    x_mm = np.abs(np.arange(x, dtype=np.float32) + affine[0, 3])[:, None, None]
    ventricles = np.maximum(_ventricle_distance(ventricle), 9 * (1.2 - x_mm))
    return Atlas(grid, gm, wm, outside_brain, inside_tissue, ventricles, hippocampus, horn, float(brain.sum()) / 1000)


def _sharpen(gm: np.ndarray, wm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    csf = np.clip(1 - gm - wm, 0, 1)
    powers = [np.clip(p, 0, 1) ** SHARPEN for p in (gm, wm, csf)]
    total = np.maximum(sum(powers), 1e-6)
    return powers[0] / total, powers[1] / total


def _border(outside: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Signed distance from two one-sided ones. Voxel-wise distances jump from -1 to 1 across a border; a little
    smoothing puts the border between them."""
    return scipy.ndimage.gaussian_filter(outside.astype(np.float32) - inside.astype(np.float32), 0.7)


def _ventricle_distance(mask: np.ndarray, reach: int = 14) -> np.ndarray:
    """Signed distance to ``mask``, exact up to ``reach`` voxels and constant beyond: the transform is costly."""
    box = tuple(slice(int(axis.min()) - reach, int(axis.max()) + reach + 1) for axis in np.nonzero(mask))
    near = _border(scipy.ndimage.distance_transform_edt(~mask[box]), scipy.ndimage.distance_transform_edt(mask[box]))
    distance = np.full(mask.shape, reach, np.float32)
    distance[box] = np.minimum(near, reach)
    return distance


def _lateral_ventricles(tissue: np.ndarray, brain: np.ndarray, grid: Grid) -> np.ndarray:
    """CSF joined to the bodies of the lateral ventricles, without the third ventricle and the cisterns."""
    x, y, z = (np.arange(n, dtype=np.float32) + o for n, o in zip(grid.shape, grid.affine[:3, 3], strict=True))
    x, y, z = x[:, None, None], y[None, :, None], z[None, None, :]
    where = (np.abs(x) < 42) & (y > -62) & (y < 42) & (z > -4) & (z < 34)
    where &= ~((np.abs(x) < 6) & (z < 5))  # third ventricle
    where &= ~((np.abs(x) < 12) & (y < -30))  # the cistern behind the corpus callosum
    labels, _ = scipy.ndimage.label((tissue < 0.5) & brain & where)
    # within these bounds the ventricles are the largest piece of CSF on either side (joined, or two mirror images)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.isin(labels, np.flatnonzero(sizes > sizes.max() / 2))


def _hippocampus(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Field and ``horn`` of both hippocampi; far away the field is 9."""
    field = np.full(grid.shape, 9, np.float32)
    horn = np.zeros(grid.shape, np.float32)
    low, high = np.array([4.0, -60.0, -42.0]), np.array([52.0, 14.0, 20.0])
    first = np.rint(grid.to_voxel(low)).astype(int)
    size = (high - low).astype(int) + 1
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in size], indexing="ij"), -1)
    points = (ijk + grid.to_world(first)).reshape(-1, 3)
    knots = np.linspace(0, 1, len(HIPPOCAMPUS))
    at = np.linspace(0, 1, 61)
    course = scipy.ndimage.gaussian_filter1d(np.stack([np.interp(at, knots, c) for c in HIPPOCAMPUS.T], 1), 3, axis=0)
    tangents = np.gradient(course[:, :3], axis=0)
    best, side = np.full(len(points), 9.0), np.zeros(len(points))
    for (cx, cy, cz, width, height, tilt), tangent in zip(course, tangents, strict=True):
        along = tangent / np.linalg.norm(tangent)
        across = np.array([np.cos(np.deg2rad(tilt)), 0, np.sin(np.deg2rad(tilt))])
        across -= along * (across @ along)
        across /= np.linalg.norm(across)
        up = np.cross(across, along) * np.sign(np.cross(across, along)[2])
        offset = points - (cx, cy, cz)
        u, v, w = offset @ across / width, offset @ up / height, offset @ along / height
        distance = np.sqrt(u * u + v * v + w * w)
        nearer = distance < best
        best[nearer] = distance[nearer]
        # lateral and upper side: the temporal horn
        side[nearer] = (0.85 * u + 0.5 * v)[nearer] / np.maximum(distance[nearer], 0.3)
    box = tuple(slice(a, a + n) for a, n in zip(first, size, strict=True))
    field[box] = best.reshape(size)
    horn[box] = (1 / (1 + np.exp(-(side - 0.45) / 0.12))).reshape(size)
    mirrored = np.array([-2 * grid.affine[0, 3], 0, 0])  # voxel i at x lies at -x in voxel mirrored - i
    flip = (mirrored[0] - np.arange(grid.shape[0])).astype(int)
    usable = (flip >= 0) & (flip < grid.shape[0])
    left = np.zeros(grid.shape[0], bool)
    left[usable] = (np.arange(grid.shape[0]) + grid.affine[0, 3])[usable] < 0
    field[left], horn[left] = field[flip[left]], horn[flip[left]]
    return field, horn
