"""The first bytes of a NIfTI file, judged before anything else of it is read or any memory is taken.

nibabel reads whatever a header asks for: an extension or a ``vox_offset`` of gigabytes, out of a compressed file of a
few kilobytes. So only the header's own bytes go through it here; extensions are never read at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import nibabel as nib
import numpy as np

from workbench.errors import ScanError
from workbench.volumes.forms import affine_of
from workbench.volumes.volume import Grid

MAX_AXIS = 1024  # voxels along one axis; a 0.2 mm head is about 1000
MAX_VOXELS = 512**3  # 0.5 GiB as float32; an ordinary 1 mm scan has 256**3
MAX_OFFSET = 16 * 1024**2  # bytes before the voxels: the largest extensions we have met hold a few MB of DICOM
MAX_VOLUMES = 64  # of a 4D file whose volumes are contrasts; a time series has more
MAX_AWAY = 3000.0  # mm from the world's origin to the middle of a scan; no scanner's bore is longer
START = 544  # bytes that hold the header of NIfTI-1 (348) or of NIfTI-2 (540) and the mark of extensions


@dataclass(frozen=True)
class Header:
    """What is needed to read the voxels, every part of it within the limits."""

    grid: Grid
    stored_shape: tuple[int, ...]
    """With axes of one voxel beyond the third, if the file has such."""
    dtype: np.dtype
    offset: int
    """Byte of the unpacked file at which the voxels begin."""
    slope: float
    inter: float
    remarks: tuple[str, ...] = ()
    """On how the affine was come by; see ``forms.affine_of``."""
    footer: bool = False
    """Whether more may follow the voxels."""
    after: int = 0
    """Bytes of further volumes that do follow them."""

    @property
    def bytes_needed(self) -> int:
        """Size of the whole unpacked file."""
        return self.offset + math.prod(self.grid.shape) * self.dtype.itemsize + self.after


def parse_header(
    name: object, start: bytes, *, max_voxels: int = MAX_VOXELS, pair: bool = False, volume: int | None = None
) -> Header:
    """Judge a file by its first bytes.

    Args:
        name: What the file is called in an error.
        start: Its first ``START`` bytes, unpacked; fewer if it has no more.
        max_voxels: Refuse a scan with more.
        pair: They are those of the ``.hdr`` of a pair, whose voxels lie in a file of their own (``.img``).
        volume: Which volume of a 4D file is meant; without it such a file is refused.

    Raises:
        ScanError: not NIfTI, not 3D, too large, voxels that begin too far in, or no usable affine.
    """
    header = _header(name, start, pair)
    shape, dtype = tuple(int(n) for n in header.get_data_shape()), header.get_data_dtype()
    volumes = 1 if volume is None else _volumes(name, shape, volume)
    x, y, z = checked_shape(name, shape if volume is None else shape[:3], dtype, max_voxels)
    bytes_each = x * y * z * dtype.itemsize
    offset = _offset(name, header, pair) + (volume or 0) * bytes_each
    after = (volumes - 1 - (volume or 0)) * bytes_each
    slope, inter = _scaling(name, header)
    affine, remarks = affine_of(name, header)
    _require_near(name, (x, y, z), affine)
    return Header(Grid((x, y, z), affine), shape, dtype, offset, slope, inter, remarks=tuple(remarks), after=after)


def _volumes(name: object, shape: tuple[int, ...], volume: int) -> int:
    """How many a 4D file has, if the one that is meant is among them."""
    if len(shape) != 4 or not volume < shape[3] <= MAX_VOLUMES:
        raise ScanError(
            f"{name}: has no volume {volume}, counted from 0",
            cause=f"its shape is {shape}; a 4D file of at most {MAX_VOLUMES} volumes is meant",
            remedy="does the list of its contrasts belong to this file?",
        )
    return shape[3]


def checked_shape(name: object, shape: tuple[int, ...], dtype: np.dtype, max_voxels: int) -> tuple[int, int, int]:
    """The first three axes, if they are those of a scan that may be read."""
    if len(shape) > 3 and any(n != 1 for n in shape[3:]):
        raise ScanError(
            f"{name}: not a 3D scan",
            cause=f"its shape is {shape}",
            remedy="a T1w is 3D; take one volume out of the series",
        )
    if len(shape) < 3 or min(shape[:3]) < 2:
        raise ScanError(f"{name}: not a 3D scan", cause=f"its shape is {shape}", remedy="give a whole volume")
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise ScanError(
            f"{name}: unsupported voxel type",
            cause=f"it stores {dtype}",
            remedy="convert to a scalar type, for example int16 or float32",
        )
    x, y, z = shape[:3]
    if max(x, y, z) > MAX_AXIS or x * y * z > max_voxels:
        raise ScanError(
            f"{name}: the scan is too large",
            cause=f"the header says {(x, y, z)}; the limit is {MAX_AXIS} per axis and {max_voxels} voxels",
            remedy="resample it, or check the header",
        )
    return x, y, z


def _header(name: object, start: bytes, pair: bool) -> nib.Nifti1Header:
    sizes = {int.from_bytes(start[:4], order, signed=True) for order in ("little", "big")}
    kind: type[nib.Nifti1Header]
    if pair:
        kind = nib.nifti2.Nifti2PairHeader if 540 in sizes else nib.nifti1.Nifti1PairHeader
    else:
        kind = nib.Nifti2Header if 540 in sizes else nib.Nifti1Header
    length = kind.template_dtype.itemsize
    try:
        if not sizes & {348, 540}:
            raise ValueError("its first four bytes are not the length of a NIfTI header")
        if len(start) < length:
            raise ValueError(f"it ends within the header, after {len(start)} bytes")
        if pair and not start[344:348].startswith((b"ni1", b"n+1")) and not start[4:8].startswith(b"ni2"):
            raise ValueError("it is Analyze 7.5, which does not say which side is left")
        with nib.imageglobals.LoggingOutputSuppressor():  # what it mends it would say without a name
            return kind(start[:length])
    except Exception as error:  # nibabel raises many kinds; all of them mean "not readable as an image"
        raise ScanError(
            f"{name}: not readable as NIfTI",
            cause=(str(error).splitlines() or [type(error).__name__])[0][:200],
            remedy="convert it with dcm2niix, or remove it from the folder",
        ) from error


def _offset(name: object, header: nib.Nifti1Header, pair: bool) -> int:
    offset, least = float(header["vox_offset"]), 0 if pair else header.template_dtype.itemsize + 4
    if not least <= offset <= MAX_OFFSET:  # NaN too
        raise ScanError(
            f"{name}: the header does not fit the file",
            cause=f"it says that the voxels begin at byte {offset:g}; a scan's begin between {least} and {MAX_OFFSET}",
            remedy="copy or convert it again; leave out extensions of the header, such as a copy of the DICOM files",
        )
    return int(offset)


def _scaling(name: object, header: nib.Nifti1Header) -> tuple[float, float]:
    try:
        slope, inter = header.get_slope_inter()
    except nib.spatialimages.HeaderDataError as error:
        raise ScanError(
            f"{name}: the header does not fit the file", cause=str(error), remedy="copy or convert it again"
        ) from error
    return 1.0 if slope is None else slope, 0.0 if inter is None else inter


def _require_near(name: object, shape: tuple[int, int, int], affine: np.ndarray) -> None:
    away = float(np.abs(affine[:3, :3] @ (np.array(shape) - 1) / 2 + affine[:3, 3]).max())
    if away > MAX_AWAY:
        raise ScanError(
            f"{name}: the affine is not plausible",
            cause=f"it puts the middle of the scan {away / 1000:.3g} m from the world's origin, which lies in the "
            "scanner or in the head",
            remedy="set the affine from the source of the scan",
        )
