"""Fingerprints of content: BLAKE2b, 128 bits, as hex."""

from __future__ import annotations

import hashlib
from pathlib import Path


def digest_file(path: Path) -> str:
    """Of a file's bytes; of the ``.img`` of a pair, of its ``.hdr`` too, which says where the voxels lie."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    beside = Path(path).with_suffix(".hdr")
    return digest_text(digest, digest_file(beside)) if Path(path).suffix == ".img" and beside.is_file() else digest


def digest_text(*parts: str) -> str:
    """Of some texts in order; ("ab", "c") is not ("a", "bc")."""
    whole = hashlib.blake2b(digest_size=16)
    for part in parts:
        whole.update(f"{len(part)}:{part}".encode())
    return whole.hexdigest()
