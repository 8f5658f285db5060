"""The fingerprint of whatever a path names."""

from __future__ import annotations

import json
from pathlib import Path

from workbench.runs.digest import digest_file, digest_text
from workbench.runs.folder import Run


def digest_path(path: Path) -> str:
    """A file by its content; a run folder by its settings, tables and model, in which are the fingerprints of the
    scans behind them; any other folder by names, sizes and times of its files, since a cohort may hold terabytes."""
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
            facts = file.stat()
            entries.append(f"{file.relative_to(path).as_posix()}:{facts.st_size}:{facts.st_mtime_ns}")
    return digest_text(*entries)
