"""A spreadsheet that asks for everything takes nothing from whoever reads it."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from tests.cohort.layouts.trees import xlsx
from workbench.cohort.source import read_rows
from workbench.errors import WorkbenchError


def changed(path: Path, old: str, new: str) -> Path:
    """The same workbook with other text in its first sheet."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"].decode()
    assert old in sheet
    parts["xl/worksheets/sheet1.xml"] = sheet.replace(old, new).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return path


def test_one_that_asks_for_gigabytes_is_refused(tmp_path: Path) -> None:
    """By one cell in the last row and column; whoever reads it in its own process is aborted."""
    far = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    path = changed(xlsx(tmp_path / "a.xlsx", ["participant_id"], [["s1"]]), "</sheetData>", far)
    assert path.stat().st_size < 3000
    with pytest.raises(WorkbenchError, match="cannot be read as a spreadsheet") as told:
        read_rows(path)
    assert "ask for more than 2.1 GB" in told.value.cause and told.value.remedy


def test_a_pipe_and_what_is_none_are_refused_and_nothing_is_imported_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe.xlsx")
    (tmp_path / "none.xlsx").write_bytes(b"PK")
    (tmp_path / "python_calamine.py").write_text("raise SystemExit('taken from the folder')")
    monkeypatch.chdir(tmp_path)
    for name in ("pipe.xlsx", "none.xlsx"):
        with pytest.raises(WorkbenchError, match="cannot be read as a spreadsheet") as told:
            read_rows(tmp_path / name)
        assert "taken" not in told.value.cause and "ask for" not in told.value.cause
    assert read_rows(xlsx(tmp_path / "good.xlsx", ["age"], [[3]])) == [{"age": "3"}]
