"""The simulated scanners: what a site does to the image of the same anatomy.

| site       | tesla | stored as   | voxel (× spacing) | blur (× spacing) | field of view (mm) | CSF  | GM   | WM  |
|------------|-------|-------------|-------------------|------------------|--------------------|------|------|-----|
| simA_3T    | 3     | RAS         | 1.0 1.0 1.0       | 0.5 0.5 0.5      | 192 224 192        | 0.20 | 0.62 | 1.0 |
| simB_3T    | 3     | PSR         | 0.9 0.9 1.2       | 0.6 0.6 1.0      | 230 230 176        | 0.32 | 0.74 | 1.0 |
| simC_1.5T  | 1.5   | LAS oblique | 1.0 1.0 1.8       | 1.1 1.1 1.8      | 210 230 174        | 0.28 | 0.79 | 1.0 |
| simD_1.5T  | 1.5   | LPI         | 1.1 1.1 1.1       | 1.5 1.5 1.5      | 200 220 200        | 0.24 | 0.68 | 1.0 |
| simE_7T    | 7     | RSA         | 0.9 0.9 0.9       | 0.4 0.4 0.4      | 180 190 220        | 0.16 | 0.54 | 1.0 |

| site       | bias (peak) | bias pattern             | noise σ / WM | noise grain (× voxel) | full scale |
|------------|-------------|--------------------------|--------------|-----------------------|------------|
| simA_3T    | 0.12        | brighter centre          | 0.025        | none (white)          | 1000       |
| simB_3T    | 0.30        | brighter at the back     | 0.040        | 1.2                   | 4000       |
| simC_1.5T  | 0.16        | brighter above and right | 0.045        | 1.5                   | 240        |
| simD_1.5T  | 0.08        | brighter in front        | 0.030        | 1.4                   | 30000      |
| simE_7T    | 0.55        | much brighter centre     | 0.035        | none (white)          | 2000       |

Blur is the full width at half maximum of the point spread, per stored axis. Noise is Rician; a grain above 0 makes it
spatially correlated, as interpolation and filters on the scanner do (its texture). Voxels, blur and field of view are
in the order of the stored axes. Each scan also has its own head position, gain (10 %), tissue contrast (1.5 %) and
bias jitter.
"""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
import scipy

from workbench.volumes import Grid

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Site:
    """One simulated scanner; units as in the table above."""

    name: str
    scanner: str
    tesla: float
    axcodes: str
    voxel: Triple
    blur: Triple
    fov_mm: Triple
    csf: float
    gm: float
    wm: float
    bias: float
    bias_tilt: Triple  # direction (RAS) in which the image gets brighter
    bias_centre: float  # how much brighter the centre is
    noise: float
    grain: float
    full_scale: int
    oblique_deg: Triple = (0.0, 0.0, 0.0)  # rotation of the slices about R, A and S

    def grid(self, spacing: float, centre: np.ndarray) -> Grid:
        """Voxel grid at a nominal ``spacing`` (mm), its middle at ``centre`` ``(3,)`` in world mm."""
        voxel = np.array(self.voxel) * spacing
        shape = np.maximum(np.rint(np.array(self.fov_mm) / voxel).astype(int), 8)
        stored = nib.orientations.axcodes2ornt(tuple(self.axcodes))  # per stored axis: world axis and sign
        axes = np.zeros((3, 3))
        for column, (axis, sign) in enumerate(stored):
            axes[int(axis), column] = sign
        affine = np.eye(4)
        affine[:3, :3] = rotation(self.oblique_deg) @ axes * voxel
        affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2)
        return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


SITES = (
    Site(
        "simA_3T",
        "simulated scanner A",
        3.0,
        "RAS",
        (1.0, 1.0, 1.0),
        (0.5, 0.5, 0.5),
        (192, 224, 192),
        0.20,
        0.62,
        1.0,
        0.12,
        (0.0, 0.0, 0.0),
        1.0,
        0.025,
        0.0,
        1000,
    ),
    Site(
        "simB_3T",
        "simulated scanner B",
        3.0,
        "PSR",
        (0.9, 0.9, 1.2),
        (0.6, 0.6, 1.0),
        (230, 230, 176),
        0.32,
        0.74,
        1.0,
        0.30,
        (0.0, -1.0, -0.2),
        0.0,
        0.040,
        1.2,
        4000,
    ),
    Site(
        "simC_1.5T",
        "simulated scanner C",
        1.5,
        "LAS",
        (1.0, 1.0, 1.8),
        (1.1, 1.1, 1.8),
        (210, 230, 174),
        0.28,
        0.79,
        1.0,
        0.16,
        (0.5, 0.0, 0.8),
        0.3,
        0.045,
        1.5,
        240,
        (12.0, 0.0, 3.0),
    ),
    Site(
        "simD_1.5T",
        "simulated scanner D",
        1.5,
        "LPI",
        (1.1, 1.1, 1.1),
        (1.5, 1.5, 1.5),
        (200, 220, 200),
        0.24,
        0.68,
        1.0,
        0.08,
        (0.0, 1.0, 0.0),
        0.0,
        0.030,
        1.4,
        30000,
    ),
    Site(
        "simE_7T",
        "simulated scanner E",
        7.0,
        "RSA",
        (0.9, 0.9, 0.9),
        (0.4, 0.4, 0.4),
        (180, 190, 220),
        0.16,
        0.54,
        1.0,
        0.55,
        (0.2, 0.0, 0.0),
        1.0,
        0.035,
        0.0,
        2000,
    ),
)


def site_by_name(name: str) -> Site:
    return next(site for site in SITES if site.name == name)


def rotation(degrees: tuple[float, float, float] | np.ndarray) -> np.ndarray:
    """Rotation about x, then y, then z, in degrees → ``(3, 3)``."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        a, b = [k for k in range(3) if k != axis]
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def acquire(
    signal: np.ndarray,
    mask: np.ndarray,
    grid: Grid,
    site: Site,
    spacing: float,
    *,
    head: bool,
    rng: np.random.Generator,
) -> np.ndarray:
    """What ``site`` stores for a noise-free ``signal`` (white matter ≈ 1) on its ``grid``.

    Args:
        signal: ``(X, Y, Z)`` evaluated at the voxel centres, also outside ``mask``.
        mask: Brain, ``(X, Y, Z)``; without ``head`` the result is exactly 0 outside it.
        spacing: Nominal voxel size (mm) that the site's blur is a multiple of.

    Returns:
        int16 ``(X, Y, Z)``, at least 0.
    """
    image = signal * _bias(mask, grid, site, rng)
    sigma = np.array(site.blur) * spacing / np.array(grid.spacing) / 2.355
    image = scipy.ndimage.gaussian_filter(image, sigma, mode="nearest", truncate=3.0)
    real, imaginary = (_noise(grid.shape, site, rng) for _ in range(2))
    image = np.hypot(image + real, imaginary)
    gain = site.full_scale / 1.5 * np.exp(rng.normal(0, 0.1))
    stored = np.clip(np.rint(image * gain), 0, 32767).astype(np.int16)
    if not head:
        stored = np.where(mask, np.maximum(stored, 1), 0).astype(np.int16)  # 0 means "not brain", nothing else
    return stored


def _bias(mask: np.ndarray, grid: Grid, site: Site, rng: np.random.Generator) -> np.ndarray:
    """Smooth multiplicative field: exp of a quadratic that spans ± ``site.bias`` over the brain, 0 on average in it."""
    axes = [np.arange(n, dtype=np.float32) - (n - 1) / 2 for n in grid.shape]
    i, j, k = (a.reshape([-1 if d == n else 1 for d in range(3)]) for n, a in enumerate(axes))
    m = grid.affine[:3, :3].astype(np.float32) / 80  # 80 mm: about the half length of a brain
    x, y, z = (row[0] * i + row[1] * j + row[2] * k for row in m)
    tilt = np.array(site.bias_tilt) + rng.normal(0, 0.15, 3)
    field = tilt[0] * x + tilt[1] * y + tilt[2] * z - site.bias_centre * (x * x + y * y + z * z)
    field += rng.normal(0, 0.15) * x * y + rng.normal(0, 0.15) * y * z
    inside = field[mask]
    low, middle, high = np.percentile(inside, [2, 50, 98])
    return np.exp(2 * site.bias * (field - middle) / max(high - low, 1e-3))


def _noise(shape: tuple[int, int, int], site: Site, rng: np.random.Generator) -> np.ndarray:
    noise = rng.standard_normal(shape, dtype=np.float32)
    if site.grain > 0:
        noise = scipy.ndimage.gaussian_filter(noise, site.grain / 2.355)
        noise /= noise.std()
    return noise * np.float32(site.noise)
