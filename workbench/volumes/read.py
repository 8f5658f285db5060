"""Reading NIfTI without trusting it: size limits before memory is taken, and a cause for every refusal."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.arrayproxy import ArrayProxy

from workbench.errors import ScanError
from workbench.volumes.volume import Grid, Volume

MAX_AXIS = 1024  # voxels along one axis; a 0.2 mm head is about 1000
MAX_VOXELS = 512**3  # 0.5 GiB as float32; an ordinary 1 mm scan has 256**3


def read_grid(path: str | Path) -> Grid:
    """Shape and affine from the header alone, checked, without reading the voxels.

    Raises:
        ScanError: not a NIfTI file, 4D, too large, or with a missing or singular affine.
    """
    return _checked_grid(_open(Path(path)), Path(path))


def read_volume(path: str | Path, *, labels: bool = False) -> Volume:
    """Read one 3D scan.

    Args:
        path: A ``.nii`` or ``.nii.gz`` file.
        labels: Read as integer labels (int32) in place of intensities (float32). An image must hold at least
            two values and be finite; a label map may be empty but must hold whole numbers.

    Returns:
        The volume in its stored orientation; reorientation is the caller's decision.

    Raises:
        ScanError: with the file, the cause and a remedy, for anything that cannot be used as it is.
    """
    path = Path(path)
    image = _open(path)
    grid = _checked_grid(image, path)
    data = _read_data(image, path).reshape(grid.shape)
    if not np.isfinite(data).all():
        bad = int(data.size - np.isfinite(data).sum())
        raise ScanError(
            f"{path}: the scan holds NaN or infinite values",
            cause=f"{bad} of {data.size} voxels",
            remedy="find the step that wrote them; do not fill them blindly",
        )
    if labels:
        whole = np.rint(data)
        if np.abs(data - whole).max(initial=0) > 1e-3:
            raise ScanError(
                f"{path}: not a label map",
                cause="it holds values that are not whole numbers",
                remedy="was it resampled with linear interpolation? use the original labels",
            )
        return Volume(whole.astype(np.int32), grid.affine)
    if data.min() == data.max():
        raise ScanError(
            f"{path}: the scan is empty",
            cause=f"every voxel is {data.min():g}",
            remedy="convert it again from the source",
        )
    return Volume(data, grid.affine)


def _open(path: Path) -> nib.Nifti1Image:
    if path.is_symlink() and not path.exists():
        raise ScanError(
            f"{path}: no such file",
            cause="it is a link to a file that is not there",
            remedy="fetch its content (`datalad get` or `git annex get`), or repair the link",
        )
    if not path.is_file():
        raise ScanError(f"{path}: no such file", cause="nothing is there", remedy="check the path and its spelling")
    if path.stat().st_size == 0:
        raise ScanError(f"{path}: the file is empty", cause="0 bytes", remedy="copy or convert it again")
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as file:  # nibabel would call a damaged gzip "a file type it cannot work out"
                file.read(348)
        image = nib.load(path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _truncated(path, error) from error
    except Exception as error:  # nibabel raises many kinds; all of them mean "not readable as an image"
        raise ScanError(
            f"{path}: not readable as NIfTI",
            cause=str(error).splitlines()[0][:200],
            remedy="convert it with dcm2niix, or remove it from the folder",
        ) from error
    if not isinstance(image, nib.Nifti1Image):
        raise ScanError(
            f"{path}: not a NIfTI file", cause=f"it is {type(image).__name__}", remedy="convert it to .nii.gz"
        )
    return image


def _checked_grid(image: nib.Nifti1Image, path: Path) -> Grid:
    header, shape = image.header, tuple(int(n) for n in image.shape)
    if len(shape) > 3 and any(n != 1 for n in shape[3:]):
        raise ScanError(
            f"{path}: not a 3D scan",
            cause=f"its shape is {shape}",
            remedy="a T1w is 3D; take one volume out of the series",
        )
    shape = shape[:3]
    if len(shape) != 3 or min(shape) < 2:
        raise ScanError(f"{path}: not a 3D scan", cause=f"its shape is {image.shape}", remedy="give a whole volume")
    if image.get_data_dtype().kind not in "iuf":
        raise ScanError(
            f"{path}: unsupported voxel type",
            cause=f"it stores {image.get_data_dtype()}",
            remedy="convert to a scalar type, for example int16 or float32",
        )
    if max(shape) > MAX_AXIS or int(np.prod(shape, dtype=np.int64)) > MAX_VOXELS:
        raise ScanError(
            f"{path}: the scan is too large",
            cause=f"the header says {shape}; the limit is {MAX_AXIS} per axis and {MAX_VOXELS} voxels",
            remedy="resample it, or check the header",
        )
    _check_size_on_disk(image, path, shape)
    if int(header["sform_code"]) == 0 and int(header["qform_code"]) == 0:
        raise ScanError(
            f"{path}: the affine is missing",
            cause="sform_code and qform_code are both 0, so left and right are not known",
            remedy="set the affine from the source of the scan",
        )
    affine = np.asarray(image.affine, dtype=np.float64)
    determinant = np.linalg.det(affine[:3, :3]) if np.isfinite(affine).all() else 0.0
    if not np.isfinite(determinant) or abs(determinant) < 1e-6:
        raise ScanError(
            f"{path}: the affine is singular",
            cause=f"its determinant is {determinant:g}",
            remedy="set the affine from the source of the scan",
        )
    grid = Grid((shape[0], shape[1], shape[2]), affine)
    if not all(0.05 <= s <= 20 for s in grid.spacing):
        raise ScanError(
            f"{path}: the voxel size is not plausible",
            remedy="check the header's units (mm)",
            cause=f"{' x '.join(f'{s:.3g}' for s in grid.spacing)} mm",
        )
    return grid


def _check_size_on_disk(image: nib.Nifti1Image, path: Path, shape: tuple[int, ...]) -> None:
    """An uncompressed file tells its size at once; a compressed one is caught while it is read."""
    needed, on_disk = _bytes_needed(image), os.path.getsize(path)
    if path.suffix == ".nii" and on_disk != needed:
        raise _header_mismatch(path, f"the header says {needed} bytes for {shape}, the file has {on_disk}")


def _bytes_needed(image: nib.Nifti1Image) -> int:
    voxels = int(np.prod([int(n) for n in image.shape], dtype=np.int64))
    assert isinstance(image.dataobj, ArrayProxy)  # always so for an image that comes from a file
    return int(image.dataobj.offset) + voxels * image.get_data_dtype().itemsize


def _read_data(image: nib.Nifti1Image, path: Path) -> np.ndarray:
    """The voxels as float32, with the header's scaling.

    A compressed file is read one byte beyond what the header asks for: only at its end does gzip compare the
    checksum, and only there does it show that the file holds more than the header says.
    """
    try:
        if path.suffix == ".gz":
            needed = _bytes_needed(image)
            with gzip.open(path) as file:
                content = file.read(needed + 1)
            if len(content) != needed:
                found = f"only {len(content)}" if len(content) < needed else "more"
                raise _header_mismatch(path, f"the header says {needed} bytes for {image.shape}, the file has {found}")
            image = type(image).from_bytes(content)
        with np.errstate(over="ignore"):  # becomes infinite, which the caller refuses by name
            return np.asarray(image.dataobj, dtype=np.float32)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _truncated(path, error) from error
    except (OSError, ValueError) as error:
        raise _header_mismatch(path, str(error).splitlines()[0]) from error


def _truncated(path: Path, error: Exception) -> ScanError:
    if "Not a gzipped file" in str(error):
        return ScanError(
            f"{path}: not readable as NIfTI",
            cause="its name ends in .gz, but it is not a gzip file",
            remedy="name it .nii if it is not compressed, or copy it again",
        )
    return ScanError(
        f"{path}: the gzip file is truncated or damaged",
        cause=str(error) or type(error).__name__,
        remedy="copy it again and compare checksums",
    )


def _header_mismatch(path: Path, cause: str) -> ScanError:
    return ScanError(f"{path}: the header does not fit the file", cause=cause, remedy="copy or convert it again")
