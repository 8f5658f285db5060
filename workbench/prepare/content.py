"""Which scans a store holds, and how they were made: read from its index alone."""

from __future__ import annotations

from pathlib import Path

from workbench.runs import Run, digest_text
from workbench.runs.tables import read_arrow

REMEDY = "run the same `workbench prepare` again; it makes only what is missing"


def index_file(store: Path) -> Path:
    """The table of a store's scans."""
    return store / "results" / "index.parquet"


def store_content(path: str | Path) -> str:
    """Fingerprint of all that can be read of a store: which scans, made from which files with which settings.

    Raises:
        WorkbenchError: no finished store.
    """
    store = Run(path).require_job("prepare", "a prepared store").path
    table = read_arrow(index_file(store), ["scan_id", "key"], remedy=REMEDY)
    return digest_text(*table["scan_id"].to_pylist(), *table["key"].to_pylist())
