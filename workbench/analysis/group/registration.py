"""Affine registration of one brain to a template, by SimpleITK; nothing is fetched."""

from __future__ import annotations

import numpy as np

from workbench.errors import ScanError
from workbench.volumes import Volume

BINS = 32
SHARE = 0.25  # of the voxels that the metric looks at, on a regular grid
STEPS = 120
ABOVE = 4.0  # added to z-scores, so that any brain is brighter than the 0 around it


def brighter(z_scores: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """A prepared scan as the metric sees it: the brain above 0, its surroundings 0."""
    return np.where(brain, np.maximum(z_scores + ABOVE, 0.25), 0).astype(np.float32)


def register(template: Volume, scan: Volume, start: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Twelve numbers that bring a scan's brain onto the template: Mattes' mutual information, coarse to fine, gradient
    descent from ``start``. One thread and a fixed grid of samples: the same twice.

    Args:
        template: Brain alone, 0 around it; axes run right, anterior, superior.
        scan: Likewise (``brighter``), in its own world.
        start: ``(4, 4)``, from the template's mm to the scan's.

    Returns:
        The matrix, and the mutual information (negative, lower is better) at the start and at the end.

    Raises:
        ScanError: it did not succeed, or the result would turn the brain or exchange left and right.
    """
    import SimpleITK as sitk  # 0.3 s, and only needed here

    fixed, moving = _image(template), _image(scan)
    middle = template.grid.to_world((np.array(template.data.shape) - 1) / 2)
    transform = sitk.AffineTransform(3)
    transform.SetCenter(middle.tolist())
    transform.SetMatrix(start[:3, :3].ravel().tolist())
    transform.SetTranslation((start[:3, :3] @ middle + start[:3, 3] - middle).tolist())
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(SHARE if np.prod(template.data.shape) * SHARE > 4000 else 1.0, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, STEPS, relaxationFactor=0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([1.5 * template.spacing[0], 0.5 * template.spacing[0]])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(transform, inPlace=True)
    try:
        before = float(method.MetricEvaluate(fixed, moving))
        method.Execute(fixed, moving)
    except RuntimeError as error:
        raise ScanError(
            "the registration failed",
            cause=str(error).strip().splitlines()[-1][:200],
            remedy="look at the scan and its mask, or use --frame box",
        ) from error
    out = np.eye(4)
    out[:3, :3] = np.array(transform.GetMatrix()).reshape(3, 3)
    out[:3, 3] = np.array(transform.GetTranslation()) + middle - out[:3, :3] @ middle
    after = float(method.GetMetricValue())
    stretch = np.linalg.svd(out[:3, :3], compute_uv=False)
    if (
        np.linalg.det(out[:3, :3]) <= 0
        or (np.diag(out[:3, :3]) < 0.5 * stretch.max()).any()
        or stretch.max() > 2
        or stretch.min() < 0.5
    ):
        raise ScanError(
            "the registration turned the brain, or stretched it twofold",
            cause=f"stretched by {stretch.min():.2f} to {stretch.max():.2f}",
            remedy="look at the scan and its mask, or use --frame box",
        )
    return out, before, after


def _image(volume: Volume):
    """For SimpleITK, in our own world: it says L and P where we say R and A, of both images alike."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.data.transpose(2, 1, 0).astype(np.float32)))
    spacing = np.array(volume.spacing)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((volume.affine[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(volume.affine[:3, 3].tolist())
    return image
