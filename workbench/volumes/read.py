"""Reading NIfTI without trusting it: size limits before memory is taken, and a cause for every refusal."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from nibabel.arrayproxy import ArrayProxy

from workbench.errors import ScanError
from workbench.volumes.header import START, Header, parse_header
from workbench.volumes.mgh import parse_mgh
from workbench.volumes.minc import minc_values, open_minc
from workbench.volumes.volume import Grid, Volume

SMALL = 1_000_000  # bytes: a larger file is no pointer and no error page
SLAB = 4 * 1024**2  # bytes of voxels taken at a time, so that a scan costs no more than its array


def read_grid(path: str | Path) -> Grid:
    """Shape and affine from the header alone, checked, without reading the voxels.

    Raises:
        ScanError: not a NIfTI file, 4D, too large, or with a missing or singular affine.
    """
    path = Path(path)
    return open_minc(_existing(path))[1] if _is_minc(path) else _read_header(path).grid


def read_remarks(path: str | Path) -> tuple[str, ...]:
    """What is worth saying of where a scan's header puts it: units that were converted, forms that are apart."""
    return () if _is_minc(Path(path)) else _read_header(Path(path)).remarks


def read_volume(path: str | Path, *, labels: bool = False, volume: int | None = None) -> Volume:
    """Read one 3D scan.

    Args:
        path: A ``.nii``, ``.nii.gz``, ``.mgz``, ``.mgh`` or ``.mnc`` file, or the ``.img`` of a NIfTI pair.
        labels: Read as integer labels (int32) in place of intensities (float32). An image must hold at least
            two values and be finite; a label map may be empty but must hold whole numbers.
        volume: Which volume of a 4D NIfTI file, counted from 0; without it such a file is refused.

    Returns:
        The volume in its stored orientation; reorientation is the caller's decision.

    Raises:
        ScanError: with the file, the cause and a remedy, for anything that cannot be used as it is.
    """
    path = Path(path)
    if _is_minc(path):
        image, grid = open_minc(_existing(path))
        values = minc_values(path, image)
        if not labels:
            with np.errstate(over="ignore"):  # becomes infinite, which is refused by name
                values = values.astype(np.float32)
        data = np.empty(grid.shape, np.int32 if labels else np.float32, order="F")
        bad = int(values.size - np.isfinite(values).sum())
        data[...] = _whole(path, values) if labels and not bad else 0 if labels else values
        return _usable(path, data, grid, bad, labels=labels)
    header = _read_header(path, volume)
    with _unpacked(path) as stream:
        return read_stream(path, stream, header, labels=labels)


def read_scan(path: str | Path) -> tuple[Volume, tuple[str, ...]]:
    """``read_volume`` and ``read_remarks`` at the cost of one of them."""
    path = Path(path)
    if _is_minc(path):
        return read_volume(path), ()
    header = _read_header(path)
    with _unpacked(path) as stream:
        return read_stream(path, stream, header), header.remarks


class Stream(Protocol):
    """Whatever can be read: a file, or a gzip file over bytes in memory."""

    def read(self, size: int, /) -> bytes: ...


def read_stream(name: object, stream: Stream, header: Header, *, labels: bool = False) -> Volume:
    """The voxels of an unpacked stream that stands at its first byte; see ``read_volume``.

    No more is taken from it than the header asks for, and one byte: only at its end does gzip compare the checksum,
    and only there does it show that the file holds more than the header says.
    """
    data = np.empty(header.grid.shape, np.int32 if labels else np.float32, order="F")
    bad = 0
    try:
        _skip(name, stream, header)
        for place, values in _slabs(name, stream, header, np.float64 if labels else np.float32):
            bad += int(values.size - np.isfinite(values).sum())
            data[..., place] = _whole(name, values) if labels and not bad else 0 if labels else values
        if (found := _passed(stream, header.after)) != header.after:
            raise _mismatch(name, header, f"only {header.bytes_needed - header.after + found}")
        if not header.footer and stream.read(1):
            raise _mismatch(name, header, "more")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _truncated(name, error) from error
    except (OSError, ValueError) as error:
        raise _header_mismatch(name, str(error).splitlines()[0]) from error
    return _usable(name, data, header.grid, bad, labels=labels)


def _usable(name: object, data: np.ndarray, grid: Grid, bad: int, *, labels: bool) -> Volume:
    if bad:
        raise ScanError(
            f"{name}: the scan holds NaN or infinite values",
            cause=f"{bad} of {data.size} voxels",
            remedy="find the step that wrote them; do not fill them blindly",
        )
    if not labels and data.min() == data.max():
        raise ScanError(
            f"{name}: the scan is empty",
            cause=f"every voxel is {data.min():g}",
            remedy="convert it again from the source",
        )
    return Volume(data, grid.affine)


def _is_minc(path: Path) -> bool:
    return path.name.lower().endswith(".mnc")


def _slabs(name: object, stream: Stream, header: Header, dtype: type) -> Iterator[tuple[slice, np.ndarray]]:
    """A few planes of the third axis, which a file holds one after another, with the header's scaling."""
    x, y, z = header.grid.shape
    plane = x * y * header.dtype.itemsize
    step = max(1, SLAB // plane)
    for first in range(0, z, step):
        planes = min(step, z - first)
        content = stream.read(planes * plane)
        if len(content) != planes * plane:
            raise _mismatch(name, header, f"only {header.offset + first * plane + len(content)}")
        spec = ((x, y, planes), header.dtype, 0, header.slope, header.inter)
        with np.errstate(over="ignore"):  # becomes infinite, which the caller refuses by name
            values: np.ndarray = np.asarray(ArrayProxy(io.BytesIO(content), spec), dtype=dtype)
        yield slice(first, first + planes), values


def _skip(name: object, stream: Stream, header: Header) -> None:
    if (found := _passed(stream, header.offset)) != header.offset:
        raise _mismatch(name, header, f"only {found}")


def _passed(stream: Stream, wanted: int) -> int:
    """So many bytes are read and forgotten; how many there were."""
    found = 0
    while found < wanted and (content := stream.read(min(SLAB, wanted - found))):
        found += len(content)
    return found


def _whole(name: object, values: np.ndarray) -> np.ndarray:
    whole = np.rint(values)
    if np.abs(values - whole).max(initial=0) > 1e-3:
        raise ScanError(
            f"{name}: not a label map",
            cause="it holds values that are not whole numbers",
            remedy="was it resampled with linear interpolation? use the original labels",
        )
    if np.abs(whole).max(initial=0) > np.iinfo(np.int32).max:
        raise ScanError(
            f"{name}: not a label map",
            cause=f"it holds the code {np.abs(whole).max():g}, beyond 32 bits",
            remedy="is it an image? else renumber the labels",
        )
    return whole


def _read_header(path: Path, volume: int | None = None) -> Header:
    size = _existing(path).stat().st_size
    name = path.name.lower()
    if not name.endswith((".nii", ".nii.gz", ".mgz", ".mgh", ".img")):
        raise ScanError(
            f"{path}: not a NIfTI file",
            cause="its name ends in none of .nii, .nii.gz, .img (with .hdr), .mgz, .mgh, .mnc",
            remedy="convert it to .nii.gz, for example with mri_convert or dcm2niix",
        )
    if size < SMALL and (what := _no_image(path)):
        raise ScanError(f"{path}: not an image", cause=what[0], remedy=what[1])
    if name.endswith(".img"):
        return _read_pair(path, size, volume)
    try:
        with _unpacked(path) as stream:
            start = stream.read(START)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _truncated(path, error) from error
    except OSError as error:
        raise ScanError(
            f"{path}: cannot be read", cause=error.strerror or str(error), remedy="check its permissions and the disk"
        ) from error
    if start[:2] == b"\x1f\x8b":
        raise ScanError(
            f"{path}: not readable as NIfTI", cause="it is a gzip file", remedy="let its name end in .nii.gz"
        )
    if name.endswith((".mgz", ".mgh")):
        return parse_mgh(path, start)
    header = parse_header(path, start, volume=volume)
    if not _compressed(path) and size != header.bytes_needed:  # a compressed one is caught while it is read
        raise _mismatch(path, header, str(size))
    return header


def _no_image(path: Path) -> tuple[str, str] | None:
    """Cause and remedy for what often lies in the place of an image."""
    with open(path, "rb") as stream:
        start = stream.read(START).lstrip()
    if start.startswith((b"version https://git-lfs", b"/annex/", b"../.git/annex", b".git/annex")):
        return (
            "it is a pointer that Git LFS or git-annex left in its place",
            "fetch its content (`git lfs pull`, `datalad get` or `git annex get`)",
        )
    if start[:15].lower().startswith((b"<!doctype html", b"<html", b"<?xml")):
        return "it is a web page, perhaps of a download that was refused", "download it again"
    return None


def _existing(path: Path) -> Path:
    """The path, if there is a file with something in it."""
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
    return path


def _read_pair(path: Path, size: int, volume: int | None = None) -> Header:
    """Of a pair ``.img`` and ``.hdr``: what the second says of the voxels in the first."""
    beside = next((p for p in (path.with_suffix(".hdr"), path.with_suffix(".HDR")) if p.is_file()), None)
    if beside is None:
        raise ScanError(
            f"{path}: half of a pair",
            cause="its .hdr is not beside it",
            remedy="copy both files, or convert to .nii.gz",
        )
    with open(beside, "rb") as stream:
        header = parse_header(path, stream.read(START), pair=True, volume=volume)
    if size != header.bytes_needed:
        raise _mismatch(path, header, str(size))
    return header


def _compressed(path: Path) -> bool:
    return path.name.lower().endswith((".gz", ".mgz"))


def _unpacked(path: Path) -> BinaryIO:
    return gzip.open(path) if _compressed(path) else open(path, "rb")  # type: ignore[return-value]


def _truncated(name: object, error: Exception) -> ScanError:
    if "Not a gzipped file" in str(error):
        return ScanError(
            f"{name}: not readable as NIfTI",
            cause="its name ends in .gz, but it is not a gzip file",
            remedy="name it .nii if it is not compressed, or copy it again",
        )
    return ScanError(
        f"{name}: the gzip file is truncated or damaged",
        cause=str(error) or type(error).__name__,
        remedy="copy it again and compare checksums",
    )


def _mismatch(name: object, header: Header, found: str) -> ScanError:
    return _header_mismatch(
        name, f"the header says {header.bytes_needed} bytes for {header.stored_shape}, the file has {found}"
    )


def _header_mismatch(name: object, cause: str) -> ScanError:
    return ScanError(f"{name}: the header does not fit the file", cause=cause, remedy="copy or convert it again")
