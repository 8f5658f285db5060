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


def check_start(name: str, size: int, start: bytes) -> Header:
    """Refuse by the header, before the rest is taken.

    Args:
        name: As shown.
        size: Bytes of the whole file, as the browser says.
        start: The first bytes of the NIfTI, unpacked; at least ``START`` if there are so many.

    Raises:
        ScanError: no NIfTI, not 3D, no usable affine, or larger than the limits.
    """
    header = parse_header(name, start[:START], max_voxels=MAX_VOXELS)
    if not _compressed(name) and size != header.bytes_needed:
        raise ScanError(
            f"{name}: the header does not fit the file",
            remedy="copy or convert it again",
            cause=f"the header says {header.bytes_needed} bytes for {header.grid.shape}, the file has {size}",
        )
    return header


def start_of(name: str, content: bytes) -> bytes:
    """The first bytes of the NIfTI, unpacked where it is compressed, never more than a header's worth."""
    if not _compressed(name):
        return content[:START]
    try:
        return zlib.decompressobj(wbits=31).decompress(content, START)
    except zlib.error as error:
        raise ScanError(
            f"{name}: not readable as NIfTI",
            cause="its name ends in .gz, but it is not a gzip file",
            remedy="name it .nii if it is not compressed, or copy it again",
        ) from error


def read_own(name: str, content: bytes) -> Own:
    """The scan of a whole file in memory; a compressed one is unpacked no further than its header asks for.

    Raises:
        ScanError: with the cause and a remedy.
    """
    header = check_start(name, len(content), start_of(name, content))
    plain: Any = io.BytesIO(content)
    volume = read_stream(name, gzip.GzipFile(fileobj=plain) if _compressed(name) else plain, header)
    return Own(name, volume, nifti_bytes(volume))


def _compressed(name: str) -> bool:
    return name.lower().endswith(".gz")
