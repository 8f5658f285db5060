"""A case as a picture: the slice through the largest error, with the true outline and each arm's."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape

import numpy as np
import scipy

from workbench.plots.slices import ENDS, PLANES, sample, slice_grid
from workbench.study.report.canvas import blank
from workbench.volumes import Grid, Volume, spaced_grid

TRUTH, FOUND = "#56B4E9", "#F5B301"
MARGIN_MM, LEAST_MM = 12.0, 56.0
FINE_MM = 0.7  # outlines are drawn at least so finely


def largest_error(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Voxels ``(n, 3)`` of the largest connected piece on which two label maps differ; all of the truth if none does.

    Args:
        truth, found: Class numbers on the same grid.
    """
    pieces, count = scipy.ndimage.label(truth != found, structure=np.ones((3, 3, 3)))
    if not count:
        return np.argwhere(truth > 0)
    sizes = np.bincount(pieces.ravel())
    return np.argwhere(pieces == 1 + sizes[1:].argmax())


def best_plane(voxels: np.ndarray, grid: Grid) -> tuple[str, float]:
    """The plane (of sagittal, coronal, axial) and its world position in mm that hold most of these voxels."""
    world = grid.to_world(voxels)
    step = min(grid.spacing)
    most: list[tuple[int, str, float]] = []
    for plane, axis in PLANES.items():
        layers = np.rint(world[:, axis] / step).astype(int)
        counts = np.bincount(layers - layers.min())
        most.append((int(counts.max()), plane, float((layers.min() + counts.argmax()) * step)))
    _, plane, position = max(most)
    return plane, position


def case_picture(scan: Volume, truth: Volume, found: Mapping[str, Volume], worst: str, told: Mapping[str, str]) -> str:
    """An ``<img>`` with a panel an arm, all of the slice on which the arm ``worst`` errs most.

    Args:
        scan: Intensities.
        truth: Class numbers, on the scan's grid.
        found: Arm → class numbers, in the same world.
        worst: The arm whose largest error is shown; it is among ``found``.
        told: Arm → what stands above its panel.
    """
    voxels = largest_error(truth.data, found[worst].data)
    if not len(voxels):  # nothing there and nothing seen
        voxels = np.array([np.array(truth.data.shape) // 2])
    plane, position = best_plane(voxels, truth.grid)
    normal = PLANES[plane]
    across, up = (axis for axis in range(3) if axis != normal)
    around = truth.grid.to_world(np.concatenate([voxels, np.argwhere(truth.data > 0)]))
    cut = slice_grid(spaced_grid(truth.grid, min(FINE_MM, *truth.spacing)), normal, position)
    first, step = cut.affine[:3, 3], np.array(cut.spacing)
    grey = sample(scan, cut, normal, order=1, outside=np.nan).T
    low, high = np.nanpercentile(grey, [1, 99.5]) if np.isfinite(grey).any() else (0, 1)
    sides = _window(around[:, across]), _window(around[:, up])
    width = min(2.4, 9.5 / len(found))
    figure = blank(width * len(found), width * np.ptp(sides[1]) / np.ptp(sides[0]) + 0.4)
    x = first[across] + np.arange(cut.shape[across]) * step[across]
    y = first[up] + np.arange(cut.shape[up]) * step[up]
    for axis, (arm, labels) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
        axis.set_facecolor("black")
        axis.imshow(grey, cmap="gray", origin="lower", extent=_extent(cut, normal), vmin=low, vmax=high)
        for volume, colour, width in ((truth, TRUTH, 2.6), (labels, FOUND, 1.0)):  # where they agree both are seen
            _outline(axis, volume, cut, normal, x, y, colour, width)
        axis.set(xlim=sides[0], ylim=sides[1])
        for place, (side, end) in {
            (0.03, 0.5): (across, 0),
            (0.97, 0.5): (across, 1),
            (0.5, 0.05): (up, 0),
            (0.5, 0.95): (up, 1),
        }.items():
            axis.text(
                *place, ENDS[side][end], transform=axis.transAxes, color="white", fontsize=7, ha="center", va="center"
            )
        axis.set_title(f"{arm}\n{told.get(arm, '')}", fontsize=7.5)
        axis.set_xticks([])
        axis.set_yticks([])
    return _img(figure, f"{plane} slice at {'xyz'[normal]} = {position:.0f} mm")


def scan_picture(scan: Volume) -> str:
    """An ``<img>`` of a sagittal, a coronal and an axial slice through the middle of what is not 0."""
    there = (
        scan.grid.to_world(np.argwhere(scan.data != 0))
        if scan.data.any()
        else scan.grid.to_world(np.array([[n // 2 for n in scan.data.shape]]))
    )
    middle = (there.min(axis=0) + there.max(axis=0)) / 2
    grid = spaced_grid(scan.grid, min(scan.spacing))
    low, high = np.percentile(scan.data, [0.5, 99.5])
    scan = Volume(np.where(scan.data == 0, low, scan.data), scan.affine)  # 0 is outside, and within the mean
    figure = blank(6.6, 2.3)
    for axis, normal in zip(figure.subplots(1, len(PLANES)), PLANES.values(), strict=True):
        cut = slice_grid(grid, normal, float(middle[normal]))
        axis.imshow(
            sample(scan, cut, normal, order=1, outside=low).T,
            cmap="gray",
            origin="lower",
            vmin=low,
            vmax=high,
            extent=_extent(cut, normal),
        )
        axis.set_axis_off()
    return _img(figure, "the middle slices of the scan; left of the person is on the left")


def _extent(cut: Grid, normal: int) -> list[float]:
    """Edges of a slice's pixels in mm, as matplotlib wants them."""
    across, up = (axis for axis in range(3) if axis != normal)
    first, step = cut.affine[:3, 3], np.array(cut.spacing)
    return [float(first[a] + (at - 0.5) * step[a]) for a in (across, up) for at in (0, cut.shape[a])]


def _outline(
    axis, volume: Volume, cut: Grid, normal: int, x: np.ndarray, y: np.ndarray, colour: str, width: float
) -> None:
    """Of every class by itself, so that neighbours have a line between them."""
    for code in np.unique(volume.data[volume.data > 0]):
        mask = Volume((volume.data == code).astype(np.float32), volume.affine)
        flat = sample(mask, cut, normal, order=1, outside=0.0).T
        if (flat > 0.5).any():
            axis.contour(x, y, flat, levels=[0.5], colors=[colour], linewidths=[width])


def _window(values: np.ndarray) -> tuple[float, float]:
    middle, half = (values.min() + values.max()) / 2, max((np.ptp(values)) / 2 + MARGIN_MM, LEAST_MM / 2)
    return float(middle - half), float(middle + half)


def _img(figure, label: str) -> str:
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110, metadata={"Software": None})
    text = base64.b64encode(data.getvalue()).decode()
    return f'<img alt="{escape(label)}" title="{escape(label)}" src="data:image/png;base64,{text}">'
