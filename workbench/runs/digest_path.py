"""The fingerprint of whatever a path names."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from workbench.runs.digest import digest_file, digest_text
from workbench.runs.folder import Run

END = 32 * 1024
GZIP = b"\x1f\x8b"


def digest_path(path: Path) -> str:
    """A file by its content; a run folder by its settings, tables and model, in which are the fingerprints of the
    scans behind them; any other folder by names, sizes and ``file_mark`` of its files, since a cohort may hold
    terabytes."""
    if path.is_file():
        return digest_file(path)
    if (path / "status.json").is_file() and (path / "provenance.json").is_file():
        run = Run(path)
        settings = {k: v for k, v in run.config.items() if k != "out"}
        files = [f for part in ("results", "model") for f in sorted((path / part).glob("*")) if f.is_file()]
        return digest_text(
            json.dumps(settings, default=str),
            run.status["state"],
            *(part for f in files for part in (f.name, digest_file(f))),
        )
    entries = []
    for file in sorted(path.rglob("*")):
        if file.is_file():
            entries.append(f"{file.relative_to(path).as_posix()}:{file.stat().st_size}:{file_mark(file)}")
    return digest_text(*entries)


def file_mark(file: Path) -> str:
    """What tells that a file has changed, for a few kilobytes of reading, and stays when the file is copied.

    A small file by its content, a gzip by its ends (the last eight bytes are the checksum and the length of all that it
    holds). Another large file may change in its middle and keep its ends: there the time counts, too, and a copy counts
    as changed.
    """
    facts = file.stat()
    if facts.st_size <= 2 * END:
        return digest_file(file)
    with open(file, "rb") as opened:
        first = opened.read(END)
        opened.seek(-END, os.SEEK_END)
        last = opened.read(END)
    when = "" if first.startswith(GZIP) else str(facts.st_mtime_ns)
    return hashlib.blake2b(first + last + when.encode(), digest_size=16).hexdigest()
