"""MINC files (``.mnc``) by nibabel: version 1 (NetCDF) as it is, version 2 (HDF5) where h5py is installed."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import ScanError
from workbench.volumes.header import MAX_AXIS, MAX_VOXELS
from workbench.volumes.volume import Grid

NETCDF, HDF5 = b"CDF", b"\x89HDF"
CONVERT = "convert it to .nii.gz, for example with mnc2nii or mri_convert"


def open_minc(path: Path) -> tuple[Any, Grid]:
    """nibabel's image, whose voxels are not read yet, and its grid.

    Raises:
        ScanError: not MINC, not 3D, too large, or not readable here.
    """
    import nibabel as nib

    with open(path, "rb") as file:
        start = file.read(4)
    if not start.startswith((NETCDF, HDF5)):
        raise ScanError(f"{path}: not readable as MINC", cause="it is neither NetCDF nor HDF5", remedy=CONVERT)
    kind = nib.Minc1Image if start.startswith(NETCDF) else nib.Minc2Image
    try:
        if kind is nib.Minc2Image:
            image: Any = kind.from_filename(str(path))
        else:
            with _Within(path) as inside:
                image = kind.from_file_map({"image": nib.FileHolder(fileobj=inside)})
        shape, affine = tuple(int(n) for n in image.shape), np.asarray(image.affine, dtype=np.float64)
    except Exception as error:  # damaged in one of many ways, or h5py is not there
        cause = (str(error).splitlines() or [""])[0][:200] or type(error).__name__
        if kind is nib.Minc2Image and ("h5py" in cause or isinstance(error, ImportError)):
            cause = "it is of version 2, which needs h5py"
            raise ScanError(
                f"{path}: cannot be read here", cause=cause, remedy=f"pip install h5py, or {CONVERT}"
            ) from None
        raise ScanError(f"{path}: not readable as MINC", cause=cause, remedy=CONVERT) from error
    if len(shape) != 3 or min(shape) < 2:
        raise ScanError(f"{path}: not a 3D scan", cause=f"its shape is {shape}", remedy="take one volume out of it")
    if max(shape) > MAX_AXIS or int(np.prod(shape, dtype=np.int64)) > MAX_VOXELS:
        raise ScanError(
            f"{path}: the scan is too large",
            cause=f"the header says {shape}; the limit is {MAX_AXIS} per axis and {MAX_VOXELS} voxels",
            remedy="resample it",
        )
    usable = np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) >= 1e-6
    grid = Grid((shape[0], shape[1], shape[2]), affine)
    if not usable or not all(0.05 <= edge <= 20 for edge in grid.spacing):
        raise ScanError(f"{path}: the voxel size is not plausible", cause=f"{affine.tolist()}"[:200], remedy=CONVERT)
    return image, grid


class _Within(io.BufferedReader):
    """A file of which no more is asked than it holds: the reader of NetCDF asks for as much as a header says, and the
    memory is taken before it shows that the file has less."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._size = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, self._size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


def minc_values(path: Path, image: Any) -> np.ndarray:
    """Its voxels, scaled as the file says, float64."""
    try:
        return np.asarray(image.dataobj, dtype=np.float64)
    except Exception as error:
        cause = (str(error).splitlines() or [""])[0][:200] or type(error).__name__
        raise ScanError(f"{path}: the header does not fit the file", cause=cause, remedy="copy it again") from error
