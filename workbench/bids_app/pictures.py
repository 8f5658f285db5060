"""A scan as three slices with a map or labels over them, as an image in a page that needs nothing else."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np

from workbench.plots.slices import ENDS, PLANES, default_point, densest_point, sample, slice_grid
from workbench.study.report.canvas import blank
from workbench.volumes import Volume, read_volume, spaced_grid

SHOWN = 0.35  # of the largest value: what is less of a map is left clear, so that the scan is seen


def picture(path: Path, overlay: Volume, *, labels: bool = False) -> str:
    """An ``<img>`` of the sagittal, coronal and axial slice through the overlay's densest place, left on the left.

    Args:
        path: The scan.
        overlay: A map or labels, in the scan's world.
        labels: Whether ``overlay`` holds codes.
    """
    scan = read_volume(path)
    codes = [int(code) for code in np.unique(overlay.data) if code] if labels else []
    point = densest_point(overlay, codes) if codes else default_point(scan, None, None)
    grid = spaced_grid(scan.grid, min(scan.spacing))
    top = float(np.percentile(overlay.data, 99.9)) or 1.0
    figure = blank(9.0, 3.2)
    for axis, (plane, normal) in zip(figure.subplots(1, 3), PLANES.items(), strict=True):
        cut = slice_grid(grid, normal, float(point[normal]))
        grey = sample(scan, cut, normal, order=1, outside=np.nan).T
        low, high = np.nanpercentile(grey, [1, 99.5]) if np.isfinite(grey).any() else (0, 1)
        axis.imshow(grey, cmap="gray", origin="lower", vmin=low, vmax=high)
        over = sample(overlay, cut, normal, order=0, outside=0).T
        hidden = over == 0 if labels else over < SHOWN * top
        look = {"cmap": "tab10", "vmin": 0, "vmax": 10} if labels else {"cmap": "inferno", "vmin": 0, "vmax": top}
        axis.imshow(np.ma.masked_where(hidden, over), origin="lower", alpha=0.55, interpolation="nearest", **look)
        axis.set_facecolor("black")
        axis.set(xticks=[], yticks=[], title=f"{plane}, {point[normal]:.0f} mm")
        across = next(a for a in range(3) if a != normal)
        for side, end in zip((0.02, 0.95), ENDS[across], strict=True):
            axis.text(side, 0.5, end, color="white", fontsize=9, transform=axis.transAxes)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return f'<img alt="three slices" src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'
