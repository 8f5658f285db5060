"""Spreadsheets (.xlsx, .xls, .ods) as rows of text, as a table of text would have them."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

from workbench.cohort import headers
from workbench.errors import WorkbenchError

ENDINGS = (".xlsx", ".xls", ".ods")
MAX_BYTES = 100 * 2**20  # a spreadsheet unpacks to many times its size, and no table of people is that large


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
    import python_calamine

    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it has {path.stat().st_size / 2**20:.0f} MiB, more than {MAX_BYTES // 2**20}")
        book = python_calamine.CalamineWorkbook.from_path(str(path))
        sheets = {name: rows for name in book.sheet_names if (rows := _filled(book, name))}
    except (OSError, ValueError, python_calamine.CalamineError) as error:
        raise WorkbenchError(
            f"{path}: cannot be read as a spreadsheet",
            cause=str(error).splitlines()[0] if str(error) else type(error).__name__,
            remedy="open it and save it as .csv or .xlsx, without a password",
        ) from error
    if not sheets:
        raise WorkbenchError(f"{path}: cannot be read as a table", cause="it is empty", remedy="add a header line")
    known = (*headers.PERSON, *headers.PATH)
    name = next((name for name, rows in sheets.items() if headers.find(map(_text, rows[0]), known)), next(iter(sheets)))
    header, *rows = [[_text(cell) for cell in row] for row in sheets[name]]
    return header, rows, [name, *(other for other in sheets if other != name)] if len(sheets) > 1 else []


def _filled(book: Any, name: str) -> list[list[Any]]:
    rows = book.get_sheet_by_name(name).to_python(skip_empty_area=True)
    return [row for row in rows if any(cell != "" for cell in row)]


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
