"""Results scan by scan, kept in small files while a run goes on: memory stays flat, and a stopped run goes on."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from workbench.errors import WorkbenchError
from workbench.runs import Run, replacing

SECONDS = 10.0  # work that a kill may cost
Rows = dict[str, list[dict[str, Any]]]  # table -> its rows of one scan


class Parts:
    """Rows of several tables, written every few seconds. A scan counts as done once its rows are on the disk.

    Leaving the ``with`` block writes what is there, also on Ctrl-C.
    """

    def __init__(self, run: Run, *, seconds: float = SECONDS) -> None:
        self.run, self.seconds = run, seconds
        self.folder = run.path / "parts"
        self.folder.mkdir(exist_ok=True)
        lists = sorted(self.folder.glob("[0-9]*.json"))
        self.done = {scan for file in lists for scan in json.loads(file.read_text())}
        self.number = max((int(file.stem) for file in lists), default=0)
        self.scans: list[str] = []
        self.rows: Rows = {}
        self.saved = time.monotonic()

    def __enter__(self) -> Parts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()

    def add(self, scan: str, rows: Rows) -> None:
        for table, some in rows.items():
            self.rows.setdefault(table, []).extend(some)
        self.scans.append(scan)
        if time.monotonic() - self.saved >= self.seconds:
            self.flush()

    def flush(self) -> None:
        if self.scans:
            self.number += 1
            for table, rows in self.rows.items():
                if rows:
                    with replacing(self.folder / f"{self.number:06d}-{table}.parquet") as partial:
                        pd.DataFrame(rows).to_parquet(partial, index=False)
            with replacing(self.folder / f"{self.number:06d}.json") as partial:  # last: now they count as done
                partial.write_text(json.dumps(self.scans))
        self.scans, self.rows, self.saved = [], {}, time.monotonic()

    def collect(self, table: str) -> Path | None:
        """Join the parts into ``results/<table>.parquet``, one part in memory at a time; None if there is none."""
        self.flush()
        files = [
            f
            for n in sorted(self.folder.glob("[0-9]*.json"))
            if (f := self.folder / f"{n.stem}-{table}.parquet").is_file()
        ]
        if not files:
            return None
        # a column that is empty in one part has no type there
        schema = pa.unify_schemas([pq.read_schema(f).remove_metadata() for f in files], promote_options="permissive")
        path = self.run.path / "results" / f"{table}.parquet"
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as partial, pq.ParquetWriter(partial, schema) as writer:
            for file in files:
                writer.write_table(_conformed(pq.read_table(file), schema))
        return path

    def remove(self) -> None:
        """Once the tables are written, the parts are not needed."""
        shutil.rmtree(self.folder)


def _conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        table[f.name].cast(f.type) if f.name in table.column_names else pa.nulls(len(table), f.type) for f in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def over_scans(
    run: Run, scans: Sequence[str], work: Callable[[str], Rows], tables: Iterable[str], *, desc: str
) -> None:
    """Do ``work`` for each scan that is not done yet and write ``tables`` (and ``set_aside``) at the end.

    A scan that cannot be used (WorkbenchError) is set aside with its cause; the others go on.

    Raises:
        WorkbenchError: no scan at all could be used.
    """
    with Parts(run) as parts:
        for scan in tqdm(scans, desc=desc, unit="scan", initial=0):
            if scan in parts.done:
                continue
            try:
                rows = work(scan)
            except WorkbenchError as error:
                rows = {
                    "set_aside": [{"scan_id": scan, "what": error.what, "cause": error.cause, "remedy": error.remedy}]
                }
                tqdm.write(f"set aside: {scan}: {error.what}")
            parts.add(scan, rows)
        wanted = list(tables)
        written = [parts.collect(table) for table in wanted]
        aside = parts.collect("set_aside")
    if written and written[0] is None:
        cause = pd.read_parquet(aside).iloc[0] if aside else None
        raise WorkbenchError(
            f"{run.path}: no scan could be used",
            cause="no scans were given" if cause is None else f"for example {cause['scan_id']}: {cause['what']}",
            remedy="choose other scans, or another query",
        )
    parts.remove()
