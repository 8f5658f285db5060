"""Three orthogonal slices of a volume, with another volume over them, in world millimetres."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy

from workbench.plots.palette import label_colors
from workbench.volumes import Grid, Volume, spaced_grid

if TYPE_CHECKING:
    import holoviews as hv

AXES = ("x", "y", "z")
ENDS = (("L", "R"), ("P", "A"), ("I", "S"))  # what lies at the low and the high end of each world axis
WAYS = ("right", "anterior", "superior")
PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}  # plane → the world axis it is perpendicular to


def slices(
    volume: Volume,
    overlay: Volume | None = None,
    *,
    value: str = "intensity",
    overlay_value: str = "overlay",
    codes: Mapping[str, int] | None = None,
    source: str = "prediction",
    at: Sequence[float] | None = None,
    limit: float | None = None,
    colours: Sequence[Volume] = (),
    opacity: float = 0.6,
    title: str = "",
    height: int = 230,
) -> hv.Layout:
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
        at: World position ``(x, y, z)`` in mm. By default where most of the labels are, else the centre of what
            is not background.
        limit: Top of the map's colour scale; by default its largest value.
        colours: Three maps in 0 … 1 that are drawn over all as red, green and blue, where any of them is above 0.
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
    scan_look = _scan_look(volume, value)
    over_look = _overlay_look(overlay, overlay_value, codes, source, limit, opacity) if overlay is not None else {}
    scale = height / (grid.shape[2] * grid.spacing[2])  # pixels a mm
    plots = []
    for plane, normal in PLANES.items():
        cut, bar = slice_grid(grid, normal, float(point[normal])), plane == "axial"  # one colour bar for all three
        layers = [
            _image(
                hv,
                sample(volume, cut, normal, order=1, outside=np.nan),
                cut,
                normal,
                value,
                colorbar=bar and overlay is None,
                **scan_look,
            )
        ]
        if overlay is not None:
            data = sample(overlay, cut, normal, order=0, outside=0)
            layers.append(
                _image(
                    hv, _numbered(data, codes) if codes else data, cut, normal, overlay_value, colorbar=bar, **over_look
                )
            )
        if colours:
            shares = np.stack([sample(channel, cut, normal, order=0, outside=0) for channel in colours], axis=-1)
            layers.append(_colours(hv, shares, cut, normal, opacity))
        across, up = (round(cut.shape[a] * cut.spacing[a] * scale) for a in range(3) if a != normal)
        plots.append(
            hv.Overlay([*layers, _marks(hv, cut, normal)]).opts(
                title=f"{plane}, {AXES[normal]} = {point[normal]:.0f} mm",
                frame_width=across,
                frame_height=up,
                shared_axes=False,
                toolbar=None,
                xticks=4,
                yticks=4,
                backend="bokeh",
            )
        )
    return hv.Layout(plots).cols(3).opts(title=title, shared_axes=False, toolbar=None, backend="bokeh")


def slice_grid(grid: Grid, normal: int, position: float) -> Grid:
    """One layer of an axis-aligned ``grid``, perpendicular to world axis ``normal``, at ``position`` mm."""
    shape, affine = list(grid.shape), grid.affine.copy()
    shape[normal], affine[normal, 3] = 1, position
    return Grid((shape[0], shape[1], shape[2]), affine)


def sample(volume: Volume, cut: Grid, normal: int, *, order: int, outside: float) -> np.ndarray:
    """The volume's values on a one-layer grid, ``(across, up)`` in the order of the world axes.

    Args:
        volume: Any orientation.
        cut: From ``slice_grid``, perpendicular to world axis ``normal``.
        order: 1 interpolates, 0 takes the nearest voxel.
        outside: Value where no voxel is.
    """
    ijk = np.stack(np.meshgrid(*map(np.arange, cut.shape), indexing="ij"), -1)
    at = np.moveaxis(volume.grid.to_voxel(cut.to_world(ijk)), -1, 0)
    size = np.array(volume.data.shape).reshape(3, 1, 1, 1)
    inside = ((at > -0.501) & (at < size - 0.499)).all(axis=0)  # a voxel reaches half its edge beyond its centre
    values = scipy.ndimage.map_coordinates(volume.data.astype(np.float32), at, order=order, mode="nearest")
    return np.where(inside, values, outside).squeeze(axis=normal)


def default_point(volume: Volume, overlay: Volume | None, codes: Mapping[str, int] | None) -> np.ndarray:
    """World position ``(3,)`` in mm: where most of the labels are, or else the centre of what is not background."""
    if overlay is not None and codes and np.isin(overlay.data, list(codes.values())).any():
        return densest_point(overlay, codes.values())
    weight = np.abs(volume.data - np.median(volume.data[[0, -1]])).astype(float)  # the outer faces are background
    if not weight.any():
        weight = np.ones(volume.data.shape)
    centre = [
        np.average(np.arange(n), weights=weight.sum(axis=tuple({0, 1, 2} - {axis})))
        for axis, n in enumerate(volume.data.shape)
    ]
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


def _scan_look(volume: Volume, value: str) -> dict[str, Any]:
    """Greys over the whole volume's range, so that the three planes have one scale."""
    low, high = np.percentile(volume.data, [0.5, 99.5])
    return {"cmap": "gray", "clim": (float(low), float(max(high, low + 1e-6))), "clabel": value}


def _overlay_look(
    overlay: Volume, value: str, codes: Mapping[str, int] | None, source: str, limit: float | None, opacity: float
) -> dict[str, Any]:
    bar: dict[str, Any] = {"width": 12}
    look = {"alpha": opacity, "clipping_colors": {"min": "rgba(0, 0, 0, 0)"}, "colorbar_opts": bar}
    if not codes:  # 0, where nothing was said, lies below the scale and is not drawn
        top = float(limit if limit is not None else overlay.data.max())
        return {**look, "cmap": "inferno", "clim": (1e-9, top if top > 0 else 1.0), "clabel": value}
    from bokeh.models import FixedTicker

    names = {number: name.replace("_", " ") for number, name in enumerate(codes, start=1)}
    bar |= {"ticker": FixedTicker(ticks=list(names)), "major_label_overrides": names}
    colors = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in label_colors(len(codes), source)]
    return {**look, "cmap": colors, "clim": (0.5, len(codes) + 0.5), "clabel": ""}


def _numbered(data: np.ndarray, codes: Mapping[str, int]) -> np.ndarray:
    """Labels as 1, 2, … in the order of ``codes``; everything else as 0, which is below the scale."""
    out = np.zeros(data.shape)
    for number, code in enumerate(codes.values(), start=1):
        out[data == code] = number
    return out


def _image(hv: Any, data: np.ndarray, cut: Grid, normal: int, value: str, **look: Any) -> hv.Image:
    """``data`` ``(across, up)`` as an image whose pixels lie around their centres in mm."""
    image = hv.Image(np.flipud(data.T), **_frame(hv, cut, normal), vdims=[value])
    return image.opts(tools=["hover"], backend="bokeh", **look)


def _colours(hv: Any, shares: np.ndarray, cut: Grid, normal: int, opacity: float) -> hv.RGB:
    """``shares`` ``(across, up, 3)`` in 0 … 1 as a picture, see-through where all three are 0."""
    seen = np.where(shares.any(axis=-1, keepdims=True), opacity, 0.0)
    data = np.flipud(np.concatenate([shares, seen], axis=-1).swapaxes(0, 1))
    return hv.RGB(data, **_frame(hv, cut, normal), vdims=["R", "G", "B", "A"])


def _frame(hv: Any, cut: Grid, normal: int) -> dict[str, Any]:
    """Axes and outer edges of a picture of one layer, in mm."""
    across, up = (axis for axis in range(3) if axis != normal)
    half = [s / 2 for s in cut.spacing]
    (left, bottom), (right, top) = _corners(cut, across, up)
    bounds = (left - half[across], bottom - half[up], right + half[across], top + half[up])
    return {"bounds": bounds, "kdims": [_axis(hv, across), _axis(hv, up)]}


def _marks(hv: Any, cut: Grid, normal: int) -> hv.Labels:
    """The letter of the direction at each end of both axes, inside the frame."""
    across, up = (axis for axis in range(3) if axis != normal)
    (left, bottom), (right, top) = _corners(cut, across, up)
    middle, level = (left + right) / 2, (bottom + top) / 2
    inset = 0.03 * (right - left), 0.04 * (top - bottom)
    rows = [
        (left + inset[0], level, ENDS[across][0]),
        (right - inset[0], level, ENDS[across][1]),
        (middle, bottom + inset[1], ENDS[up][0]),
        (middle, top - inset[1], ENDS[up][1]),
    ]
    marks = hv.Labels(rows, kdims=[_axis(hv, across), _axis(hv, up)], vdims="direction")
    return marks.opts(text_color="#ffd166", text_font_size="11pt", text_font_style="bold", backend="bokeh")


def _axis(hv: Any, axis: int) -> hv.Dimension:
    return hv.Dimension(AXES[axis], label=f"{AXES[axis]} → {WAYS[axis]}", unit="mm")


def _corners(cut: Grid, across: int, up: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Centres of the first and the last pixel, ``((left, bottom), (right, top))`` in mm."""
    first, last = cut.affine[:3, 3], cut.affine[:3, 3] + (np.array(cut.shape) - 1) * np.array(cut.spacing)
    return (float(first[across]), float(first[up])), (float(last[across]), float(last[up]))
