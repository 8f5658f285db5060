"""Tables on disk: written whole and with checksums, read back as they were written or refused by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ROW_GROUP = 4096  # rows that are encoded at once: a whole table takes its size again, and more
REMEDY = "make it again: run the command that wrote it with --overwrite, or copy it again"


def read_parquet(
    path: Path, columns: Sequence[str] | None = None, *, what: str = "a table", remedy: str = REMEDY
) -> pd.DataFrame:
    """A Parquet file as a table.

    Raises:
        WorkbenchError: as ``read_arrow``.
    """
    table = read_arrow(path, columns, what=what, remedy=remedy)
    try:
        return table.to_pandas()
    except Exception as error:  # a header whose pandas part is damaged
        raise _refused(path, what, error, remedy) from error


def column_names(path: Path) -> list[str]:
    """The columns that a Parquet file has; its values are not read.

    Raises:
        WorkbenchError: as ``read_arrow``.
    """
    import pyarrow.parquet as pq

    try:
        _require_file(path)
        return list(pq.read_schema(path).names)
    except Exception as error:
        raise _refused(path, "a table", error, REMEDY) from error


def read_arrow(
    path: Path, columns: Sequence[str] | None = None, *, what: str = "a table", remedy: str = REMEDY
) -> pa.Table:
    """A Parquet file as an Arrow table.

    Args:
        path: The file.
        columns: Only these.
        what, remedy: For the refusal: "cannot be read as ``what``", and what to do.

    Raises:
        WorkbenchError: there is no such file, it is a folder, it is no table or a damaged one (pages are compared with
            their checksums where it has them), or it lacks a column.
    """
    import pyarrow.parquet as pq

    try:
        _require_file(path)
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            if lacking := [name for name in columns or () if name not in file.schema_arrow.names]:
                raise ValueError(f"it lacks the columns {', '.join(lacking)}")
            if twice := [name for name, n in Counter(file.schema_arrow.names).items() if n > 1]:
                raise ValueError(f"it has several columns {', '.join(twice)}")
            return file.read(columns=None if columns is None else list(columns))
    except Exception as error:  # Arrow has a dozen kinds of its own, all of them: this is no such table
        raise _refused(path, what, error, remedy) from error


def _require_file(path: Path) -> None:
    """Arrow would read a folder as a data set of many files: of none, a table without columns; and wait at a pipe."""
    if path.exists() and not path.is_file():
        raise OSError("it is a folder" if path.is_dir() else "it is no file")


@contextmanager
def plain_memory() -> Iterator[None]:
    """Arrow's tables in the system's memory: its own pool keeps what it had once, 15 MB of a table of 5,000 scans."""
    import pyarrow as pa

    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """With a checksum for each page. Not atomic: write beside and rename, see ``replacing``."""
    table.to_parquet(path, index=False, write_page_checksum=True, row_group_size=ROW_GROUP)


def _refused(path: Path, what: str, error: Exception, remedy: str) -> WorkbenchError:
    cause: Any = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
    return WorkbenchError(f"{path}: cannot be read as {what}", cause=str(cause)[:200], remedy=remedy)
