"""Tables that are none are refused by name, and nothing is waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.errors import WorkbenchError
from workbench.runs.tables import column_names, read_parquet


@pytest.mark.parametrize("read", [read_parquet, column_names])
def test_a_pipe_and_a_folder_are_no_tables(tmp_path: Path, read: object) -> None:
    os.mkfifo(tmp_path / "pipe.parquet")  # reading it would wait until somebody writes
    (tmp_path / "folder.parquet").mkdir()
    for name, said in {"pipe": "it is no file", "folder": "it is a folder"}.items():
        with pytest.raises(WorkbenchError, match=said):
            read(tmp_path / f"{name}.parquet")  # type: ignore[operator]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "scans.parquet"
    pq.write_table(pa.table([pa.array(["a"]), pa.array(["b"])], names=["scan_id", "scan_id"]), path)
    with pytest.raises(WorkbenchError, match="several columns scan_id"):
        read_parquet(path)
