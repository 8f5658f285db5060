"""Verdicts on scans as a TSV beside the run: pass, doubtful or fail, with a note, by whom and when. A scan has one row
for each rater."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from workbench.cohort.beside import Beside, now, plain
from workbench.errors import WorkbenchError
from workbench.runs import Run

VERDICTS = ("pass", "doubtful", "fail")
COLUMNS = ("scan_id", "participant", "rating", "note", "rater", "time")
KEPT = Beside("ratings", COLUMNS, "verdicts")


def ratings_file(run: Run) -> Path:
    """Beside the run's folder."""
    return KEPT.file(run)


def read_ratings(path: Path) -> pd.DataFrame:
    """Columns ``COLUMNS``, all text; empty where there is no file yet.

    Raises:
        WorkbenchError: the file is no such table.
    """
    return _known(path, KEPT.read(path))


def record(path: Path, scan_id: str, participant: str, rating: str | None, note: str, rater: str) -> pd.DataFrame:
    """Put one rater's verdict on one scan into the file (None takes it away), and return the whole table.

    Raises:
        WorkbenchError: the file is damaged, or the folder cannot be written to; nothing is lost then.
    """
    if rating is not None and rating not in VERDICTS:
        raise WorkbenchError(f"'{rating[:40]}': no such verdict", remedy=f"one of {', '.join(VERDICTS)}")

    def work(table: pd.DataFrame) -> pd.DataFrame:
        mine = (table["scan_id"] == scan_id) & (table["rater"] == plain(rater))
        table = _known(path, table)[~mine]
        if rating is None:
            return table
        row = [scan_id, plain(participant), rating, plain(note), plain(rater), now()]
        return pd.concat([table, pd.DataFrame([row], columns=list(COLUMNS))], ignore_index=True)

    return KEPT.change(path, work)


def worst(table: pd.DataFrame) -> dict[str, str]:
    """scan_id → the worst verdict that anybody gave it."""
    rank = {verdict: k for k, verdict in enumerate(VERDICTS)}
    out: dict[str, str] = {}
    for scan_id, rating in zip(table["scan_id"], table["rating"], strict=True):
        if scan_id not in out or rank[rating] > rank[out[scan_id]]:
            out[str(scan_id)] = str(rating)
    return out


def _known(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    if wrong := sorted(set(table["rating"]) - set(VERDICTS)):
        raise KEPT.damaged(path, f"it says rating = {wrong[0][:40]!r}")
    return table
