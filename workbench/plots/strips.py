"""One slice of a scan with a map or segmentations over it, as a picture for a figure of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from workbench.plots.slices import PLANES, sample, slice_grid
from workbench.volumes import Volume, spaced_grid

MM = 1.0  # of a pixel, in every picture, so that a figure has one scale
OPACITY = 0.7
Colours = Mapping[int, Sequence[int]]


def strip_picture(
    scan: Volume,
    fill: tuple[Volume, Colours] | None = None,
    outline: tuple[Volume, Colours] | None = None,
    heat: tuple[Volume, float, float, Sequence[Sequence[int]]] | None = None,
    *,
    at: Sequence[float],
    plane: str = "axial",
    radiological: bool = True,
) -> np.ndarray:
    """A slice upright, cut to what is bright in it.

    Args:
        scan: Any orientation.
        fill: A label map of the same person and its colours (0–255) by code; other codes are not drawn.
        outline: The same, of which only the border of each label is drawn, over the fill.
        heat: A map of the same person, the ends of its range, and its colours (0–255) at equal steps between them;
            nothing is drawn below the range. It lies under the other two.
        at: World mm ``(x, y, z)`` of a place in the slice.
        plane: ``"axial"``, ``"coronal"`` or ``"sagittal"``.
        radiological: The patient's left on the right of the picture; of no use in a sagittal one.

    Returns:
        RGB in 0 … 1, ``(height, width, 3)``, a pixel is 1 mm.
    """
    normal = PLANES[plane]
    cut = slice_grid(spaced_grid(scan.grid, MM), normal, float(at[normal]))
    grey = sample(scan, cut, normal, order=1, outside=0.0)
    low, high = np.percentile(scan.data, [0.5, 99.5])
    shade = np.clip((grey - low) / max(float(high - low), 1e-6), 0, 1)
    out = np.repeat(shade[..., None], 3, axis=-1)
    if heat is not None:
        volume, low, high, ramp = heat
        values = sample(volume, cut, normal, order=0, outside=-np.inf)
        place = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
        steps = np.linspace(0, 1, len(ramp))
        colours_of = np.stack([np.interp(place, steps, channel) for channel in np.asarray(ramp, float).T / 255], -1)
        seen = (values >= low)[..., None]
        out = np.where(seen, OPACITY * colours_of + (1 - OPACITY) * out, out)
    for given, border in ((fill, False), (outline, True)):
        if given is None:
            continue
        labels, colours = sample(given[0], cut, normal, order=0, outside=0), given[1]
        for code, colour in colours.items():
            mine = labels == code
            mine = mine & ~_inside(mine) if border else mine
            share = 1.0 if border else OPACITY
            out[mine] = share * np.asarray(colour) / 255 + (1 - share) * out[mine]
    kept = np.argwhere(shade > 0.1)
    (left, bottom), (right, top) = (kept.min(axis=0), kept.max(axis=0) + 1) if len(kept) else ((0, 0), shade.shape)
    picture = np.flipud(out[left:right, bottom:top].swapaxes(0, 1))
    return np.fliplr(picture) if radiological and plane != "sagittal" else picture


def strongest(values: np.ndarray, percent: float) -> tuple[float, float]:
    """The range of a map that the viewer draws: what lies from ``low`` up holds ``percent`` of the sum of what is above
    0, and one in a thousand of those is above ``high``. Of a map without anything above 0: ``(inf, -inf)``."""
    above = np.sort(values[values > 0].astype(np.float64))[::-1]
    if not len(above):
        return float("inf"), float("-inf")
    held = np.cumsum(above)
    low = above[min(int(np.searchsorted(held, held[-1] * percent / 100)), len(above) - 1)]
    return float(low), float(above[len(above) // 1000])


def _inside(mask: np.ndarray) -> np.ndarray:
    """Pixels whose four neighbours are of the mask too."""
    wide = np.pad(mask, 1)
    return wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
