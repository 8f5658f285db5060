"""N4 bias field correction."""

from __future__ import annotations

import numpy as np

from workbench.errors import ScanError
from workbench.volumes import Volume

WORKING_MM = 4.0  # a bias field is smooth: it is estimated at about this resolution and applied at full


def correct_bias(scan: Volume, brain: np.ndarray) -> Volume:
    """Divide out the bias field that N4 finds in ``brain`` (bool, same shape). One thread; float32.

    Raises:
        ScanError: N4 cannot fit a field to this scan.
    """
    import SimpleITK as sitk  # 0.3 s, and only needed with n4

    shrink = [max(1, min(int(WORKING_MM / s), n // 8)) for s, n in zip(scan.spacing, scan.data.shape, strict=True)]
    image = sitk.GetImageFromArray(scan.data.transpose(2, 1, 0).astype(np.float32))
    image.SetSpacing(scan.spacing)
    # N4 takes the logarithm: voxels at or below zero say nothing about a multiplicative field
    used = sitk.GetImageFromArray((brain & (scan.data > 0)).transpose(2, 1, 0).astype(np.uint8))
    used.CopyInformation(image)
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetNumberOfThreads(1)  # the other scans keep the other cores busy
    n4.SetMaximumNumberOfIterations([50, 50, 30])
    try:
        n4.Execute(sitk.Shrink(image, shrink), sitk.Shrink(used, shrink))
        field = np.exp(sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image))).transpose(2, 1, 0)
    except RuntimeError as error:
        raise ScanError(
            "N4 failed",
            cause=str(error).strip().splitlines()[-1][:200],
            remedy="look at the scan and its mask, or prepare without n4",
        ) from error
    corrected = scan.data / np.maximum(field, 1e-3)
    if not np.isfinite(corrected).all():
        raise ScanError(
            "N4 failed",
            cause="the bias field is not finite",
            remedy="look at the scan and its mask, or prepare without n4",
        )
    return Volume(corrected.astype(np.float32), scan.affine)
