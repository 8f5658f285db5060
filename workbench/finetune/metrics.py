"""Scores of one structure in one scan, in millimetres of the scan's own space.

Conventions, which the column ``empty`` makes visible:

========================  =====  ==================  ============  ===========================
\\                         Dice   HD95                surface Dice  volume error
========================  =====  ==================  ============  ===========================
nothing there, none seen  NaN    NaN                 NaN           0 ml, NaN %
prediction empty          0      the scan's diagonal 0             −the volume, −100 %
truth empty               0      the scan's diagonal 0             the predicted volume, NaN %
========================  =====  ==================  ============  ===========================

NaN is left out of means: there was nothing to find. The diagonal of the scan's field of view is the largest distance it
holds: a finite penalty, so that a missed structure stays in paired differences in place of dropping out of them.
"""

from __future__ import annotations

import math
import warnings

import numpy as np

TOLERANCE_MM = 1.0  # of the surface Dice


def dice(predicted: np.ndarray, truth: np.ndarray) -> float:
    """2 |A ∩ B| / (|A| + |B|) of two bool arrays of the same shape.

    Both empty: NaN, since there was nothing to find (left out of means). One empty: 0.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"prediction {predicted.shape} and truth {truth.shape} are on different grids")
    total = int(predicted.sum()) + int(truth.sum())
    return 2 * int((predicted & truth).sum()) / total if total else math.nan


def structure_scores(predicted: np.ndarray, truth: np.ndarray, affine: np.ndarray) -> dict[str, float | str]:
    """Dice, HD95, surface Dice at 1 mm and volume error of one structure.

    Args:
        predicted, truth: Bool ``(X, Y, Z)`` on the same grid.
        affine: Of that grid (4, 4): the lengths of its axes are the voxel's edges, its determinant the volume. The
            voxel's axes are taken to be at right angles for distances, as they are in all but sheared files.

    Returns:
        ``dice``, ``hd95_mm`` (the larger of the two directed 95th percentiles), ``surface_dice_1mm`` (share of both
        surfaces, by area, within 1 mm of the other; Nikolov et al. 2018), ``volume_ml``, ``true_volume_ml``,
        ``volume_error_ml`` and ``volume_error_percent`` (predicted − true), and ``empty`` ("", "prediction",
        "truth" or "both").
    """
    overlap = dice(predicted, truth)
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    volume, true_volume = float(predicted.sum()) * voxel_ml, float(truth.sum()) * voxel_ml
    out: dict[str, float | str] = {
        "dice": overlap,
        "volume_ml": volume,
        "true_volume_ml": true_volume,
        "volume_error_ml": volume - true_volume,
        "volume_error_percent": 100 * (volume - true_volume) / true_volume if true_volume else math.nan,
    }
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if volume and true_volume:
        hd95, surface = _surface_scores(predicted, truth, spacing)
        return {**out, "hd95_mm": hd95, "surface_dice_1mm": surface, "empty": ""}
    if not volume and not true_volume:
        return {**out, "hd95_mm": math.nan, "surface_dice_1mm": math.nan, "empty": "both"}
    diagonal = float(np.linalg.norm(spacing * (np.array(truth.shape) - 1)))
    return {**out, "hd95_mm": diagonal, "surface_dice_1mm": 0.0, "empty": "truth" if volume else "prediction"}


def _surface_scores(predicted: np.ndarray, truth: np.ndarray, spacing: np.ndarray) -> tuple[float, float]:
    import torch  # MONAI takes seconds to import; Dice alone needs none of it
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice

    # both structures with a rim of background: distances elsewhere cost time and count for nothing, and where a
    # structure is cut off by the field of view, the cut is a surface of both
    either = np.argwhere(predicted | truth)
    low, high = either.min(axis=0), either.max(axis=0) + 1
    box = tuple(slice(p, q) for p, q in zip(low, high, strict=True))
    a, b = (torch.from_numpy(np.pad(mask[box], 2))[None, None] for mask in (predicted, truth))
    step = [float(s) for s in spacing]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of MONAI about MONAI
        hd95 = compute_hausdorff_distance(a, b, include_background=True, percentile=95, spacing=step)
        surface = compute_surface_dice(
            a, b, class_thresholds=[TOLERANCE_MM], include_background=True, spacing=step, use_subvoxels=True
        )
    return float(hd95[0, 0]), float(surface[0, 0])
