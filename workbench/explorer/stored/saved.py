"""The named selections of the scans on the screen, as they are saved beside their run."""

from __future__ import annotations

import functools
from pathlib import Path

import pandas as pd

from workbench.cohort.selections import read_selections, selections_file
from workbench.explorer.stored.catalog import Catalog


def saved(catalog: Catalog, run: str) -> pd.DataFrame:
    """Columns name, scan_id, participant, by, time, all text; shared between sessions, so never change it in place.

    Raises:
        WorkbenchError: the file is no such table.
    """
    path = selections_file(catalog.run(run))
    return _saved(path, path.stat().st_mtime_ns if path.is_file() else 0)


def tags(catalog: Catalog, run: str, scan_id: str) -> list[str]:
    """The names that a scan carries."""
    table = saved(catalog, run)
    return sorted(table.loc[table["scan_id"] == scan_id, "name"])


@functools.lru_cache(maxsize=8)
def _saved(path: Path, mtime_ns: int) -> pd.DataFrame:
    return read_selections(path)
