"""A scan of the visitor's own, from bytes: checked like a file of a cohort, without ever being one."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np

from workbench.errors import ScanError
from workbench.explorer.stored.files import NiftiFile, nifti_bytes
from workbench.volumes import Volume

MAX_UPLOAD = 300_000_000
MAX_VOXELS = 256 * 256 * 512  # smaller than for a cohort on disk: the server holds it for everybody who looks
MAX_AXIS = 1024


@dataclass(frozen=True)
class Own:
    """An uploaded scan."""

    name: str
    volume: Volume
    file: NiftiFile


def show_name(name: Any) -> str:
    """A file name as text to show; it is never a path."""
    return re.sub(r"[^\w .+()-]", "_", re.split(r"[/\\]", str(name))[-1])[:80] or "scan"


def is_gzip(start: bytes) -> bool:
    """By its first bytes: a name may be cut, or wrong."""
    return start[:2] == b"\x1f\x8b"


def check_start(name: str, size: int, start: bytes, header: bytes) -> nib.Nifti1Header:
    """Refuse by the header, before the rest is taken.

    Args:
        name: As shown.
        size: Bytes of the whole file, as the browser says; of a compressed one they tell nothing.
        start: Its first bytes as they came; only looked at where it is not compressed.
        header: Its first bytes, unpacked.

    Raises:
        ScanError: no NIfTI, not 3D, no usable affine, or larger than the limits.
    """
    try:
        parsed = nib.Nifti1Header(header[:348])
    except Exception as error:
        raise ScanError(
            f"{name}: not readable as NIfTI",
            cause=str(error).splitlines()[0][:200],
            remedy="give a .nii or .nii.gz file; convert DICOM with dcm2niix",
        ) from error
    shape = tuple(int(n) for n in parsed.get_data_shape())
    if len(shape) < 3 or any(n != 1 for n in shape[3:]) or min(shape[:3]) < 2:
        raise ScanError(
            f"{name}: not a 3D scan",
            cause=f"its shape is {shape}",
            remedy="a T1w is 3D; take one volume out of the series",
        )
    if parsed.get_data_dtype().kind not in "iuf":
        raise ScanError(
            f"{name}: unsupported voxel type",
            cause=f"it stores {parsed.get_data_dtype()}",
            remedy="convert to a scalar type, for example int16 or float32",
        )
    if max(shape[:3]) > MAX_AXIS or int(np.prod(shape[:3], dtype=np.int64)) > MAX_VOXELS:
        raise ScanError(
            f"{name}: the scan is too large",
            cause=f"the header says {shape[:3]}; the limit is {MAX_AXIS} per axis and {MAX_VOXELS} voxels",
            remedy="resample it to 1 mm",
        )
    needed = int(parsed["vox_offset"]) + int(np.prod(shape, dtype=np.int64)) * parsed.get_data_dtype().itemsize
    if not is_gzip(start) and size != needed:
        raise ScanError(
            f"{name}: the header does not fit the file",
            remedy="copy or convert it again",
            cause=f"the header says {needed} bytes for {shape}, the file has {size}",
        )
    return parsed


def read_own(name: str, content: bytes) -> Own:
    """The scan of a whole file in memory; a compressed one is unpacked no further than its header asks for.

    Raises:
        ScanError: with the cause and a remedy.
    """
    plain = content
    if is_gzip(content):
        unpack = zlib.decompressobj(wbits=31)
        try:
            header = unpack.decompress(content, 1024)
            parsed = check_start(name, len(content), content[:1024], header)
            shape = parsed.get_data_shape()
            needed = int(parsed["vox_offset"]) + int(np.prod(shape, dtype=np.int64)) * parsed.get_data_dtype().itemsize
            plain = header + unpack.decompress(unpack.unconsumed_tail, max(1, needed + 1 - len(header)))
        except zlib.error as error:
            raise ScanError(
                f"{name}: the gzip file is truncated or damaged",
                cause=str(error)[:200],
                remedy="copy it again and compare checksums",
            ) from error
        if len(plain) != needed or not unpack.eof:
            found = "more" if len(plain) > needed else f"only {len(plain)}" if len(plain) < needed else "no end"
            raise ScanError(
                f"{name}: the gzip file is truncated or damaged",
                remedy="copy it again and compare checksums",
                cause=f"the header says {needed} bytes for {shape}, the file has {found}",
            )
    else:
        check_start(name, len(content), content[:1024], content[:1024])
    try:
        image = nib.Nifti1Image.from_bytes(plain)
        with np.errstate(over="ignore"):
            data = np.asarray(image.dataobj, dtype=np.float32).reshape(image.shape[:3])
    except Exception as error:
        raise ScanError(
            f"{name}: the header does not fit the file",
            cause=str(error).splitlines()[0][:200],
            remedy="copy or convert it again",
        ) from error
    _check(name, image, data)
    volume = Volume(data, np.asarray(image.affine, dtype=float))
    return Own(name, volume, nifti_bytes(volume))


def _check(name: str, image: nib.Nifti1Image, data: np.ndarray) -> None:
    if int(image.header["sform_code"]) == 0 and int(image.header["qform_code"]) == 0:
        raise ScanError(
            f"{name}: the affine is missing",
            cause="sform_code and qform_code are both 0, so left and right are not known",
            remedy="set the affine from the source of the scan",
        )
    affine = np.asarray(image.affine, dtype=float)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-6:
        raise ScanError(f"{name}: the affine is singular", remedy="set the affine from the source of the scan")
    if not np.isfinite(data).all():
        raise ScanError(
            f"{name}: the scan holds NaN or infinite values",
            cause=f"{int((~np.isfinite(data)).sum())} of {data.size} voxels",
            remedy="find the step that wrote them; do not fill them blindly",
        )
    if data.min() == data.max():
        raise ScanError(
            f"{name}: the scan is empty",
            cause=f"every voxel is {data.min():g}",
            remedy="convert it again from the source",
        )
