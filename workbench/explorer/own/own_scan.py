"""A scan of the visitor's own, from bytes: checked like a file of a cohort, without ever being one."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from dataclasses import dataclass
from typing import Any

from workbench.errors import ScanError
from workbench.explorer.stored.files import NiftiFile, nifti_bytes
from workbench.volumes import Volume
from workbench.volumes.header import START, Header, parse_header
from workbench.volumes.read import read_stream

MAX_UPLOAD = 300_000_000
MAX_VOXELS = 256 * 256 * 512  # smaller than for a cohort on disk: the server holds it for everybody who looks


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


def check_start(name: str, size: int, start: bytes) -> Header:
    """Refuse by the header, before the rest is taken.

    Args:
        name: As shown.
        size: Bytes of the whole file, as the browser says; of a compressed one they tell nothing.
        start: Its first bytes as they came.

    Raises:
        ScanError: no NIfTI, not 3D, no usable affine, or larger than the limits.
    """
    header = parse_header(name, header_of(start, name), max_voxels=MAX_VOXELS)
    if not is_gzip(start) and size != header.bytes_needed:
        raise ScanError(
            f"{name}: the header does not fit the file",
            remedy="copy or convert it again",
            cause=f"the header says {header.bytes_needed} bytes for {header.grid.shape}, the file has {size}",
        )
    return header


def header_of(start: bytes, name: str) -> bytes:
    """The first bytes of the NIfTI, unpacked where it is compressed, never more than a header's worth."""
    if not is_gzip(start):
        return start[:START]
    try:
        return zlib.decompressobj(wbits=31).decompress(start, START)
    except zlib.error as error:
        raise ScanError(
            f"{name}: not readable as NIfTI",
            cause="it begins like a gzip file and cannot be unpacked",
            remedy="copy it again and compare checksums",
        ) from error


def read_own(name: str, content: bytes) -> Own:
    """The scan of a whole file in memory; a compressed one is unpacked no further than its header asks for.

    Raises:
        ScanError: with the cause and a remedy.
    """
    header = check_start(name, len(content), content)
    plain: Any = io.BytesIO(content)
    volume = read_stream(name, gzip.GzipFile(fileobj=plain) if is_gzip(content) else plain, header)
    return Own(name, volume, nifti_bytes(volume))
