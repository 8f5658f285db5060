"""Small pictures of scans: one slice through the middle, from the prepared store or, without one, from the file."""

from __future__ import annotations

import base64
import functools
import io
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import WorkbenchError

PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}  # plane → the RAS+ axis it is perpendicular to


def middle_slice(store: Path, path: Path, scan_id: str, plane: str) -> tuple[np.ndarray, tuple[float, float]]:
    """The slice through the middle of the box, ``(x, y)``, ``(x, z)`` or ``(y, z)`` in RAS+ (0 is background), and how
    many mm a pixel is along its two axes.

    Args:
        store: The prepared store: its scans are cut to the brain, upright and mapped from the disk, so that one slice
            is read in a millisecond. Where it has not this scan (or is not on this machine) the whole file is read.
        path: Of the scan as it was given.
        scan_id: Its name in the store; looked up there.
        plane: One of ``PLANES``.
    """
    axis = PLANES[plane]
    opened = opened_store(store, _changed(store))
    if opened is not None and scan_id in opened[1]:
        shape = opened[0].shape(scan_id)
        low, high = [0, 0, 0], list(shape)
        low[axis] = shape[axis] // 2
        high[axis] = low[axis] + 1
        plane_of = np.asarray(opened[0].read(scan_id, low, high), np.float32).squeeze(axis)
        return plane_of, (opened[0].spacing, opened[0].spacing)
    from workbench.volumes import canonical, read_volume

    volume = canonical(read_volume(path))
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
    first, second = (float(spacing[k]) for k in range(3) if k != axis)
    return np.asarray(np.take(volume.data, volume.data.shape[axis] // 2, axis=axis), np.float32), (first, second)


def to_png(plane: np.ndarray, *, flip: bool) -> str:
    """A slice as a ``data:`` address of a PNG: the second axis upwards, grey from the 1st to the 99th percentile of
    what is not 0; ``flip`` turns left and right."""
    from PIL import Image

    shown = plane.T[::-1, ::-1] if flip else plane.T[::-1]
    inside = shown[(shown != 0) & np.isfinite(shown)]
    low, high = np.percentile(inside, [1, 99]) if len(inside) else (0.0, 1.0)
    # a prepared scan is z-scored: its background is 0, which lies in the middle of the greys of the brain
    scaled = np.where(shown == 0, 0, np.clip((shown - low) / max(high - low, 1e-6), 0.04, 1)) * 255
    buffer = io.BytesIO()
    Image.fromarray(np.nan_to_num(scaled).astype(np.uint8)).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


@functools.lru_cache(maxsize=2000)
def picture(
    store: Path, path: Path, scan_id: str, plane: str, radiological: bool, changed: int
) -> tuple[str, tuple[float, float]]:
    """``to_png`` of ``middle_slice`` and its width and height in mm, kept for all sessions; ``changed`` is the
    file's time of change. A scan that cannot be read gives an empty address."""
    try:
        shown, (across, up) = middle_slice(store, path, scan_id, plane)
        size = (shown.shape[0] * across, shown.shape[1] * up)
        return to_png(shown, flip=radiological and plane != "sagittal"), size
    except (WorkbenchError, OSError, ValueError):
        return "", (0.0, 0.0)


def changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _changed(store: Path) -> int:
    return changed(store / "results" / "index.parquet")


@functools.lru_cache(maxsize=4)
def opened_store(store: Path, changed: int) -> Any:
    """The store and its ids, or None; ``changed`` is in the key so that a rewritten store is opened again."""
    from workbench.prepare.store import Store

    try:
        opened = Store(store)
    except (WorkbenchError, OSError, ValueError, KeyError):
        return None
    return opened, set(opened.scan_ids)
