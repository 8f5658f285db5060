"""Three orthogonal slices of a volume, with another volume over them, in world millimetres."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.plots.palette import label_colors
from workbench.volumes import Grid, Volume, resample, spaced_grid

if TYPE_CHECKING:
    import holoviews as hv

AXES = ("x", "y", "z")
ENDS = (("L", "R"), ("P", "A"), ("I", "S"))  # what lies at the low and the high end of each world axis
WAYS = ("right", "anterior", "superior")
PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}  # plane → the world axis it is perpendicular to


def slices(volume: Volume, overlay: Volume | None = None, *, value: str = "intensity", overlay_value: str = "overlay",
           codes: Mapping[str, int] | None = None, source: str = "prediction", at: Sequence[float] | None = None,
           limit: float | None = None, opacity: float = 0.6, title: str = "", height: int = 230) -> hv.Layout:
    """Sagittal, coronal and axial slice through one point, upright, left of the patient on the left of the picture.

    Both volumes are sampled at the same world positions, whatever the order and direction of their stored axes, so
    an overlay lies where it belongs even on a volume of another grid. Oblique volumes are interpolated.

    Args:
        volume: The scan.
        overlay: A map (of the same person, in the same world), or labels if ``codes`` is given.
        value: Name of the scan's values, with unit if they have one.
        overlay_value: Name of the map's values.
        codes: Structure → code: the overlay is a label map; 0 and other codes are not drawn.
        source: Whose labels these are, which gives their colours: ``"truth"`` or ``"prediction"``.
        at: World position ``(x, y, z)`` in mm. By default where most of the labels are, else the scan's centre of
            brightness.
        limit: Top of the map's colour scale; by default its largest value.
        opacity: Of the overlay, 0 to 1.
        title: Of the whole.
        height: Of each frame in pixels; all three have one scale in mm.

    Returns:
        A layout of three planes. Each has key dimensions in mm and the value dimension ``value`` (and
        ``overlay_value``), and a mark at each end of its axes (L, R, A, P, S, I).
    """
    import holoviews as hv
    import holoviews.plotting.bokeh  # registers the backend that the options below are for

    grid = spaced_grid(volume.grid, min(volume.spacing))
    point = np.asarray(at if at is not None else default_point(volume, overlay, codes), float)
    colors = _Colors(volume, overlay, value, overlay_value, codes, source, limit, opacity)
    scale = height / (grid.shape[2] * grid.spacing[2])  # pixels a mm
    plots = []
    for plane, normal in PLANES.items():
        cut = slice_grid(grid, normal, float(point[normal]))
        across, up = (axis for axis in range(3) if axis != normal)
        size = {"frame_width": round(cut.shape[across] * cut.spacing[across] * scale),
                "frame_height": round(cut.shape[up] * cut.spacing[up] * scale)}
        bar = plane == "axial"  # one colour bar for the three, at the right
        layers = [_image(hv, sample(volume, cut, normal, 1), cut, normal, value, bar=bar and overlay is None,
                         **colors.scan)]
        if overlay is not None:
            layers.append(_image(hv, colors.shown(sample(overlay, cut, normal, 0)), cut, normal, overlay_value, bar=bar,
                                 **colors.over))
        layers.append(_marks(hv, cut, normal))
        plots.append(hv.Overlay(layers).opts(
            title=f"{plane}, {AXES[normal]} = {point[normal]:.0f} mm", shared_axes=False, toolbar=None, xticks=4,
            yticks=4, backend="bokeh", **size))
    return hv.Layout(plots).cols(3).opts(title=title, shared_axes=False, toolbar=None, backend="bokeh")


def slice_grid(grid: Grid, normal: int, position: float) -> Grid:
    """One layer of an axis-aligned ``grid``, perpendicular to world axis ``normal``, at ``position`` mm."""
    shape, affine = list(grid.shape), grid.affine.copy()
    shape[normal], affine[normal, 3] = 1, position
    return Grid((shape[0], shape[1], shape[2]), affine)


def sample(volume: Volume, cut: Grid, normal: int, order: int) -> np.ndarray:
    """The volume's values on a one-layer grid, ``(across, up)`` in the order of the world axes; NaN outside it."""
    # the scan is drawn as it is: no blur, and what lies outside it is not black but nothing
    moved = resample(Volume(volume.data.astype(np.float32), volume.affine), cut, order=order, fill=np.nan,
                     antialias=False)
    return moved.data.squeeze(axis=normal)


def default_point(volume: Volume, overlay: Volume | None, codes: Mapping[str, int] | None) -> np.ndarray:
    """World position ``(3,)`` in mm: where most of the labels are, or else the scan's centre of brightness."""
    if overlay is not None and codes and np.isin(overlay.data, list(codes.values())).any():
        return densest_point(overlay, codes.values())
    weight = np.clip(volume.data - np.median(volume.data[[0, -1]]), 0, None).astype(float)
    if not weight.any():
        weight = np.ones(volume.data.shape)
    centre = [np.average(np.arange(n), weights=weight.sum(axis=tuple({0, 1, 2} - {axis})))
              for axis, n in enumerate(volume.data.shape)]
    return volume.grid.to_world(np.array(centre))


def densest_point(labels: Volume, codes: Iterable[int]) -> np.ndarray:
    """World position ``(3,)`` in mm of the sagittal, coronal and axial slice with the most voxels of these codes.

    Raises:
        ValueError: no voxel has any of them.
    """
    where = np.argwhere(np.isin(labels.data, list(codes)))
    if not len(where):
        raise ValueError("no voxel has any of these codes")
    step = min(labels.spacing)
    layers = np.rint(labels.grid.to_world(where) / step).astype(int)
    return np.array([np.bincount(column - column.min()).argmax() + column.min() for column in layers.T]) * step


class _Colors:
    """Colour scales, the same for the three planes: from the whole volume, not from the slice."""

    def __init__(self, volume: Volume, overlay: Volume | None, value: str, overlay_value: str,
                 codes: Mapping[str, int] | None, source: str, limit: float | None, opacity: float) -> None:
        low, high = np.percentile(volume.data, [0.5, 99.5])
        self.scan: dict[str, Any] = {"cmap": "gray", "clim": (float(low), float(max(high, low + 1e-6))),
                                     "clabel": value}
        self.codes, self.over = codes, {}
        if overlay is None:
            return
        if codes:
            from bokeh.models import FixedTicker

            names = {number: name.replace("_", " ") for number, name in enumerate(codes, start=1)}
            colors = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in label_colors(len(codes), source)]
            self.over = {"cmap": colors, "clim": (0.5, len(codes) + 0.5), "alpha": opacity, "clabel": "", "colorbar_opts": {
                "ticker": FixedTicker(ticks=list(names)), "major_label_overrides": names, "width": 12}}
        else:
            top = float(limit if limit is not None else np.nanmax(overlay.data))
            self.over = {"cmap": "inferno", "clim": (0.0, top or 1.0), "alpha": opacity, "clabel": overlay_value,
                         "colorbar_opts": {"width": 12}}

    def shown(self, data: np.ndarray) -> np.ndarray:
        """Labels as 1, 2, … in the order of ``codes``; what is not drawn as NaN."""
        if not self.codes:
            return np.where(data == 0, np.nan, data)
        out = np.full(data.shape, np.nan)
        for number, code in enumerate(self.codes.values(), start=1):
            out[data == code] = number
        return out


def _image(hv: Any, data: np.ndarray, cut: Grid, normal: int, value: str, *, bar: bool, **look: Any) -> hv.Image:
    """``data`` ``(across, up)`` as an image whose pixels lie around their centres in mm."""
    across, up = (axis for axis in range(3) if axis != normal)
    half = [s / 2 for s in cut.spacing]
    (left, bottom), (right, top) = _corners(cut, across, up)
    image = hv.Image(np.flipud(data.T), bounds=(left - half[across], bottom - half[up], right + half[across],
                                                top + half[up]), kdims=[_axis(hv, across), _axis(hv, up)], vdims=[value])
    return image.opts(colorbar=bar, tools=["hover"], backend="bokeh", **look)


def _marks(hv: Any, cut: Grid, normal: int) -> hv.Labels:
    """The letter of the direction at each end of both axes, inside the frame."""
    across, up = (axis for axis in range(3) if axis != normal)
    (left, bottom), (right, top) = _corners(cut, across, up)
    middle, level = (left + right) / 2, (bottom + top) / 2
    inset = 0.03 * (right - left), 0.04 * (top - bottom)
    rows = [(left + inset[0], level, ENDS[across][0]), (right - inset[0], level, ENDS[across][1]),
            (middle, bottom + inset[1], ENDS[up][0]), (middle, top - inset[1], ENDS[up][1])]
    marks = hv.Labels(rows, kdims=[_axis(hv, across), _axis(hv, up)], vdims="direction")
    return marks.opts(text_color="#ffd166", text_font_size="11pt", text_font_style="bold", backend="bokeh")


def _axis(hv: Any, axis: int) -> hv.Dimension:
    return hv.Dimension(AXES[axis], label=f"{AXES[axis]} → {WAYS[axis]}", unit="mm")


def _corners(cut: Grid, across: int, up: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Centres of the first and the last pixel, ``((left, bottom), (right, top))`` in mm."""
    first, last = cut.affine[:3, 3], cut.affine[:3, 3] + (np.array(cut.shape) - 1) * np.array(cut.spacing)
    return (float(first[across]), float(first[up])), (float(last[across]), float(last[up]))
