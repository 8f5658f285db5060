"""A scan as somebody has it at hand: a path, a nibabel image, an array with its affine. Checked like a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.spatialimages import SpatialImage

from workbench.errors import ScanError
from workbench.volumes.header import MAX_AXIS, MAX_VOXELS
from workbench.volumes.read import read_volume
from workbench.volumes.volume import Grid, Volume

Given = str | os.PathLike[str] | SpatialImage | tuple[np.ndarray, np.ndarray] | Volume | Mapping[str, Any]
"""What counts as a scan: the path of a NIfTI file, a nibabel image, ``(array, affine)``, or a ``Volume``; for a model
of several contrasts these by contrast, ``{"T1w": …, "FLAIR": …}``."""


def as_volume(scan: Given) -> Volume:
    """The scan as float32 with its affine.

    Args:
        scan: A path, a nibabel image, ``(array (X, Y, Z), affine (4, 4) voxel → RAS+ mm)``, or a ``Volume``.

    Raises:
        ScanError: not 3D, too large, empty, NaN, or without an affine that says where it lies.
        TypeError: none of these kinds; an array alone does not say where left is.
    """
    if isinstance(scan, str | os.PathLike):
        return read_volume(Path(scan))
    if isinstance(scan, Volume):
        data, affine = scan.data, scan.affine
    elif isinstance(scan, SpatialImage):
        return _from_image(scan)
    elif isinstance(scan, tuple) and len(scan) == 2:
        data, affine = np.asarray(scan[0]), np.asarray(scan[1], dtype=float)
    else:
        raise TypeError(
            f"a scan is a path, a nibabel image, (array, affine) or a Volume, not {type(scan).__name__}"
            + (": give its affine too, for left and right are not known without" * isinstance(scan, np.ndarray))
        )
    return _checked(data, affine, "the scan")


def name_of(scan: Given) -> str:
    """A name for messages and files: of the file where there is one."""
    if isinstance(scan, Mapping):
        return next((name_of(one) for one in scan.values() if one is not None), "scan")
    path = scan if isinstance(scan, str | os.PathLike) else getattr(scan, "get_filename", lambda: None)()
    return stem(path) if path else "scan"


def stem(path: str | os.PathLike[str]) -> str:
    """File name without ``.nii`` or ``.nii.gz``."""
    return Path(path).name.removesuffix(".gz").removesuffix(".nii")


def as_image(volume: Volume) -> nib.Nifti1Image:
    """A NIfTI image in memory, its affine as sform (scanner space)."""
    image = nib.Nifti1Image(volume.data, volume.affine)
    image.set_sform(volume.affine, code=1)
    image.header.set_xyzt_units("mm")
    return image


def _from_image(image: SpatialImage) -> Volume:
    name = image.get_filename() or "the image"
    codes = ("sform_code", "qform_code")
    if isinstance(image, nib.Nifti1Image) and all(int(image.header[c]) == 0 for c in codes):
        raise ScanError(
            f"{name}: the affine is missing",
            cause="sform_code and qform_code are both 0, so left and right are not known",
            remedy="set the affine from the source of the scan",
        )
    affine = image.affine
    if affine is None:
        raise ScanError(f"{name}: the affine is missing", remedy="set the affine from the source of the scan")
    _check_shape(tuple(int(n) for n in image.shape), name)  # before its voxels are asked for
    return _checked(np.asanyarray(image.dataobj), np.asarray(affine, dtype=float), name)


def _check_shape(shape: tuple[int, ...], name: str) -> None:
    if len(shape) < 3 or any(n != 1 for n in shape[3:]) or min(shape[:3]) < 2:
        raise ScanError(
            f"{name}: not a 3D scan",
            cause=f"its shape is {shape}",
            remedy="a T1w is 3D; take one volume out of the series",
        )
    if max(shape[:3]) > MAX_AXIS or int(np.prod(shape[:3], dtype=np.int64)) > MAX_VOXELS:
        raise ScanError(
            f"{name}: the scan is too large",
            cause=f"it is {shape[:3]}; the limit is {MAX_AXIS} per axis and {MAX_VOXELS} voxels",
            remedy="resample it",
        )


def _checked(data: np.ndarray, affine: np.ndarray, name: str) -> Volume:
    _check_shape(data.shape, name)
    if data.dtype.kind not in "iufb":
        raise ScanError(f"{name}: unsupported voxel type", cause=f"it is {data.dtype}", remedy="give real numbers")
    shape = (data.shape[0], data.shape[1], data.shape[2])
    data = np.asarray(data, dtype=np.float32).reshape(shape)
    usable = affine.shape == (4, 4) and np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) >= 1e-6
    if not usable:
        raise ScanError(
            f"{name}: the affine is singular",
            cause=f"it is {affine.tolist()}"[:200],
            remedy="give the 4x4 matrix from voxels to RAS+ millimetres",
        )
    if not all(0.05 <= s <= 20 for s in Grid(shape, affine).spacing):
        raise ScanError(
            f"{name}: the voxel size is not plausible",
            cause=f"{' x '.join(f'{s:.3g}' for s in Grid(shape, affine).spacing)} mm",
            remedy="affines are in mm",
        )
    if not np.isfinite(data).all():
        raise ScanError(
            f"{name}: the scan holds NaN or infinite values",
            cause=f"{int(data.size - np.isfinite(data).sum())} of {data.size} voxels",
            remedy="find the step that wrote them; do not fill them blindly",
        )
    if data.min() == data.max():
        raise ScanError(
            f"{name}: the scan is empty",
            cause=f"every voxel is {data.min():g}",
            remedy="convert it again from the source",
        )
    return Volume(data, affine)
