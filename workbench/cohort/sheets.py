"""Spreadsheets (.xlsx, .xls, .ods) as rows of text, as a table of text would have them.

A spreadsheet of kilobytes can ask for any amount of memory: by what its parts unpack to, by one cell in the last row
and column, by a row that is to be repeated. Its reader takes that memory, and is aborted where there is none. So it
reads in a process of its own, within limits, and what comes back is text.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

from workbench.cohort import headers
from workbench.errors import WorkbenchError

ENDINGS = (".xlsx", ".xls", ".ods")
MAX_BYTES = 100 * 2**20  # no table of people is that large
MEMORY = 2 * 2**30  # of the process that reads: of a million cells it takes 0.2 GB
SECONDS = 300  # of its processor time


def is_sheet(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS


def read_sheet(path: Path) -> tuple[list[str], list[list[str]], list[str]]:
    """Header and rows of one sheet; whole numbers without ``.0``, days as 2006-04-18.

    Returns:
        Of the first sheet that names people or scans, else of the first that holds anything; and, where several hold
        something, the names of the sheets, its own first.

    Raises:
        WorkbenchError: not a spreadsheet, too large, or empty.
    """
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is no file")
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it has {path.stat().st_size / 2**20:.0f} MiB, more than {MAX_BYTES // 2**20}")
        sheets = _read_aside(path)
    except (OSError, ValueError) as error:
        raise WorkbenchError(
            f"{path}: cannot be read as a spreadsheet",
            cause=str(error).splitlines()[0] if str(error) else type(error).__name__,
            remedy="open it and save it as .csv or .xlsx, without a password",
        ) from error
    if not sheets:
        raise WorkbenchError(f"{path}: cannot be read as a table", cause="it is empty", remedy="add a header line")
    known = (*headers.PERSON, *headers.PATH)
    name = next((name for name, rows in sheets.items() if headers.find(rows[0], known)), next(iter(sheets)))
    header, *rows = sheets[name]
    return header, rows, [name, *(other for other in sheets if other != name)] if len(sheets) > 1 else []


def _read_aside(path: Path) -> dict[str, list[list[str]]]:
    """Rows by sheet, of the sheets that have any, read by another process.

    Raises:
        ValueError: it is no spreadsheet, or too much for the limits.
    """
    # -P: nothing is imported from the folder somebody happens to be in
    asked = [sys.executable, "-P", "-c", f"from {__name__} import _main; _main()", str(path.absolute())]
    places = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(asked, capture_output=True, env={**os.environ, **places})
    if done.returncode:
        said = (done.stderr.decode(errors="replace").strip().splitlines() or [""])[-1]
        if said.startswith("SAID "):
            raise ValueError(said.removeprefix("SAID "))
        if done.returncode > 0 and not said.startswith("MemoryError"):
            raise ValueError(said or f"its reader ended with {done.returncode}")
        raise ValueError(f"its cells ask for more than {MEMORY / 1e9:.1f} GB, or {SECONDS} s")
    sheets: dict[str, list[list[str]]] = json.loads(done.stdout)
    return sheets


def _main() -> None:
    """Of the process that reads."""
    if sys.platform == "linux":  # elsewhere the limit is not kept, or there is none
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    import python_calamine

    try:
        book = python_calamine.CalamineWorkbook.from_path(sys.argv[1])
        sheets = {name: rows for name in book.sheet_names if (rows := _filled(book, name))}
    except (OSError, ValueError, python_calamine.CalamineError) as error:
        print("SAID", (str(error).splitlines() or [type(error).__name__])[0], file=sys.stderr)
        sys.exit(1)
    json.dump(sheets, sys.stdout)


def _filled(book: Any, name: str) -> list[list[str]]:
    rows = book.get_sheet_by_name(name).to_python(skip_empty_area=True)
    return [[_text(cell) for cell in row] for row in rows if any(cell != "" for cell in row)]


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime) and not (cell.hour or cell.minute or cell.second):
        return cell.date().isoformat()
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    return str(cell).strip()
