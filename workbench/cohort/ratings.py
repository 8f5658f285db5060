"""Verdicts on scans as a TSV beside the run: pass, doubtful or fail, with a note, by whom and when.

A scan has one row for each rater. A row is added under a lock to what the file holds at that moment, and the file is
written whole and then renamed: two people at once lose nothing, and a reader never meets half a file.
"""

from __future__ import annotations

import csv
import datetime
import fcntl
from pathlib import Path

import pandas as pd

from workbench.errors import WorkbenchError
from workbench.runs import Run
from workbench.runs.folder import replacing

VERDICTS = ("pass", "doubtful", "fail")
COLUMNS = ("scan_id", "participant", "rating", "note", "rater", "time")


def ratings_file(run: Run) -> Path:
    """Beside the run's folder, never in it: a run is what a job wrote."""
    return run.path.with_name(f"{run.path.name}-ratings.tsv")


def read_ratings(path: Path) -> pd.DataFrame:
    """Columns ``COLUMNS``, all text; empty where there is no file yet.

    Raises:
        WorkbenchError: the file is no such table.
    """
    if not path.is_file():
        return pd.DataFrame(columns=list(COLUMNS), dtype=str)
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE)
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error).splitlines()[0][:200]) from error
    if lacking := [c for c in COLUMNS if c not in table]:
        raise _damaged(path, f"it has no column {', '.join(lacking)}")
    if wrong := sorted(set(table["rating"]) - set(VERDICTS)):
        raise _damaged(path, f"it says rating = {wrong[0][:40]!r}")
    return table[list(COLUMNS)]


def record(path: Path, scan_id: str, participant: str, rating: str | None, note: str, rater: str) -> pd.DataFrame:
    """Put one rater's verdict on one scan into the file (None takes it away), and return the whole table.

    Raises:
        WorkbenchError: the file is damaged, or the folder cannot be written to; nothing is lost then.
    """
    if rating is not None and rating not in VERDICTS:
        raise WorkbenchError(f"'{rating[:40]}': no such verdict", remedy=f"one of {', '.join(VERDICTS)}")
    try:
        with open(path.with_name(f".{path.name}.lock"), "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            table = read_ratings(path)
            mine = (table["scan_id"] == scan_id) & (table["rater"] == _plain(rater))
            table = table[~mine]
            if rating is not None:
                now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                row = [scan_id, _plain(participant), rating, _plain(note), _plain(rater), now]
                table = pd.concat([table, pd.DataFrame([row], columns=list(COLUMNS))], ignore_index=True)
            _write_whole(path, table)
    except OSError as error:
        raise WorkbenchError(
            f"{path}: the verdict could not be written", cause=str(error), remedy="make the folder writable"
        ) from error
    return table


def worst(table: pd.DataFrame) -> dict[str, str]:
    """scan_id → the worst verdict that anybody gave it."""
    rank = {verdict: k for k, verdict in enumerate(VERDICTS)}
    out: dict[str, str] = {}
    for scan_id, rating in zip(table["scan_id"], table["rating"], strict=True):
        if scan_id not in out or rank[rating] > rank[out[scan_id]]:
            out[str(scan_id)] = str(rating)
    return out


def _plain(text: str) -> str:
    """One field of a TSV: no tab, no line break."""
    return " ".join(str(text).split())


def _write_whole(path: Path, table: pd.DataFrame) -> None:
    with replacing(path) as partial:
        lines = ["\t".join(COLUMNS), *("\t".join(row) for row in table[list(COLUMNS)].itertuples(index=False))]
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _damaged(path: Path, cause: str) -> WorkbenchError:
    return WorkbenchError(
        f"{path}: not a table of verdicts",
        cause=cause,
        remedy=f"it must be a TSV with the columns {', '.join(COLUMNS)}; move it away to begin a new one",
    )
