"""Fingerprints of content: BLAKE2b, 128 bits, as hex."""

from __future__ import annotations

import hashlib
from pathlib import Path


def digest_file(path: Path) -> str:
    """Of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def digest_text(*parts: str) -> str:
    """Of some texts in order; ("ab", "c") is not ("a", "bc")."""
    whole = hashlib.blake2b(digest_size=16)
    for part in parts:
        whole.update(f"{len(part)}:{part}".encode())
    return whole.hexdigest()
