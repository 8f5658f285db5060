"""Measures of one structure in one scan, in millimetres of the scan's own space.

A new one is a function of `Masks` and a row in `STRUCTURES` at the end of this file: the table ``dice`` of every
segmentation, the study with its report and methods paragraph, and the explorer's Comparison page take it from there.

Where a structure is empty the rows say what is given. NaN is left out of means: there was nothing to find. The diagonal
of the scan's field of view is the largest distance it holds: a finite penalty, so that a missed structure stays in
paired differences in place of dropping out of them.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np

from workbench.measures.masks import Masks
from workbench.measures.measure import Measure

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE_MM = 1.0  # of the surface Dice


def structure_scores(predicted: np.ndarray, truth: np.ndarray, affine: np.ndarray) -> dict[str, float | str]:
    """Every measure of a structure in a scan, by its name; arguments and errors as of `Masks`.

    Beside them ``volume_ml``, ``true_volume_ml``, and ``empty`` ("", "prediction", "truth" or "both").
    """
    masks = Masks(predicted, truth, affine)
    return {
        **{one.name: one.of_masks(masks) for one in COMPUTED},
        "volume_ml": masks.volume_ml,
        "true_volume_ml": masks.true_volume_ml,
        "empty": masks.empty or "",
    }


def no_scores() -> dict[str, float | str]:
    """As ``structure_scores`` of a scan without labels: its columns, and no values."""
    return {**dict.fromkeys([one.name for one in COMPUTED] + ["volume_ml", "true_volume_ml"], math.nan), "empty": ""}


def dice(predicted: np.ndarray, truth: np.ndarray) -> float:
    """2 |A ∩ B| / (|A| + |B|) of two bool arrays of the same shape.

    Both empty: NaN, since there was nothing to find (left out of means). One empty: 0.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"prediction {predicted.shape} and truth {truth.shape} are on different grids")
    total = int(predicted.sum()) + int(truth.sum())
    return 2 * int((predicted & truth).sum()) / total if total else math.nan


def hausdorff_95(masks: Masks) -> float:
    """The larger of the two directed 95th percentiles of surface distances, in mm."""
    from monai.metrics import compute_hausdorff_distance  # MONAI takes seconds to import; Dice alone needs none of it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of MONAI about MONAI
        found = compute_hausdorff_distance(
            *masks.boxes, include_background=True, percentile=95, spacing=masks.spacing.tolist()
        )
    return float(found[0, 0])


def surface_dice(masks: Masks) -> float:
    """Share of both surfaces, by area, within 1 mm of the other (Nikolov et al. 2018)."""
    from monai.metrics import compute_surface_dice

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        found = compute_surface_dice(
            *masks.boxes,
            class_thresholds=[TOLERANCE_MM],
            include_background=True,
            spacing=masks.spacing.tolist(),
            use_subvoxels=True,
        )
    return float(found[0, 0])


def volume_error_ml(masks: Masks) -> float:
    """Predicted − true."""
    return masks.volume_ml - masks.true_volume_ml


def volume_error_percent(masks: Masks) -> float:
    """Predicted − true, of the true volume."""
    return 100 * (masks.volume_ml - masks.true_volume_ml) / masks.true_volume_ml


def _unsigned(table: pd.DataFrame) -> pd.Series:
    """Before any mean: too large on the left must not make up for too small on the right."""
    return table["volume_error_percent"].abs()


def _missed(table: pd.DataFrame) -> pd.Series:
    """1 for a structure that is there and of which nothing was found."""
    return (table["empty"] == "prediction").astype(float)


def _diagonal(masks: Masks) -> float:
    return masks.diagonal_mm


NOTHING = math.nan
STRUCTURES = (
    Measure(
        name="dice",
        task="segment",
        title="Dice",
        words="Dice points",
        long="Dice",
        scale=100,
        digits=1,
        most=1,
        compute=lambda masks: dice(masks.predicted, masks.truth),
        empty={"both": NOTHING, "prediction": 0.0, "truth": 0.0},
    ),
    Measure(
        name="hd95_mm",
        task="segment",
        title="HD95",
        words="mm HD95",
        long="95th percentile Hausdorff distance",
        unit="mm",
        better="lower",
        compute=hausdorff_95,
        empty={"both": NOTHING, "prediction": _diagonal, "truth": _diagonal},
    ),
    Measure(
        name="surface_dice_1mm",
        task="segment",
        title="surface Dice at 1 mm",
        words="points of surface Dice at 1 mm",
        long="surface Dice at 1 mm",
        scale=100,
        digits=1,
        most=1,
        compute=surface_dice,
        empty={"both": NOTHING, "prediction": 0.0, "truth": 0.0},
    ),
    Measure(
        name="volume_error_ml",
        task="segment",
        title="volume error",
        words="ml volume error",
        unit="ml",
        better=None,
        compute=volume_error_ml,
    ),
    Measure(
        name="volume_error_percent",
        task="segment",
        title="volume error",
        words="% volume error",
        unit="%",
        digits=1,
        better=None,
        compute=volume_error_percent,
        empty={"both": NOTHING, "truth": NOTHING},
    ),
    Measure(
        name="volume_error",
        task="segment",
        title="absolute volume error",
        words="% absolute volume error",
        long="volume error",
        unit="%",
        digits=1,
        better="lower",
        of_rows=_unsigned,
        needs=("volume_error_percent",),
    ),
    Measure(
        name="missed",
        task="segment",
        title="structures missed",
        words="% of structures missed",
        scale=100,
        digits=1,
        better="lower",
        most=1,
        of_rows=_missed,
        needs=("empty",),
    ),
)
COMPUTED = tuple(one for one in STRUCTURES if one.compute is not None)
