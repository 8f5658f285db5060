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
from workbench.runs.spread import FOLDER as SHARDS
from workbench.runs.spread import Shard, ShardDone, SpreadConfig, shard, spread, wait_for_earlier
from workbench.runs.tables import column_names, read_arrow, read_parquet, write_parquet

FOLDER = "parts"
SECONDS = 10.0  # work that a kill may cost
Rows = dict[str, list[dict[str, Any]]]  # table -> its rows of one scan


class Parts:
    """Rows of several tables, written every few seconds. A scan counts as done once its rows are on the disk.

    Leaving the ``with`` block writes what is there, also on Ctrl-C. Several processes may write parts of one run, each
    those of a shard of its own.

    Args:
        run: Whose.
        seconds: After how many of them what is there is written.
        of: The shard that this process is for.
    """

    def __init__(self, run: Run, *, seconds: float = SECONDS, of: Shard | None = None) -> None:
        self.run, self.seconds = run, seconds
        self.folder = run.path / FOLDER
        self.folder.mkdir(exist_ok=True)
        lists = self.lists()
        self.done = {scan for file in lists for scan in self._scans_of(file, repair=of is None)}
        # a shard's numbers begin with the place of its first scan: it has fewer parts than scans
        self.suffix = "" if of is None else f".{of.name}"
        mine = [_number(file) for file in lists if of is None or file.stem.endswith(self.suffix)]
        self.number = max(mine, default=0 if of is None else of.first)
        self._looked: dict[str, list[str]] = {}
        self.scans: list[str] = []
        self.rows: Rows = {}
        self.saved = time.monotonic()

    def lists(self) -> list[Path]:
        """The lists of what each part holds, in order."""
        return sorted(self.folder.glob("[0-9]*.json"), key=lambda file: (_number(file), file.name))

    def require_of(self, inputs: str) -> None:
        """Forget every part that was made from other inputs than these (a digest), or nobody knows from what."""
        file = self.folder / "of"
        if file.is_file() and file.read_text() == inputs:
            return
        wait_for_earlier(self.run)  # jobs that know of the others would write on
        for path in self.folder.iterdir():
            path.unlink()
        self._looked, self.done, self.number = {}, set(), 0
        with replacing(file) as partial:
            partial.write_text(inputs)

    def look(self) -> set[str]:
        """What is done by now, whoever did it."""
        for file in self.lists():
            if file.name not in self._looked:  # a list is written once, whole
                self._looked[file.name] = json.loads(file.read_text())
        return {scan for scans in self._looked.values() for scan in scans}

    @staticmethod
    def done_in(run: Run) -> set[str]:
        """The scans that are done of a run that others write; nothing is changed, nor mended."""
        files = (run.path / FOLDER).glob("[0-9]*.json")
        return {str(scan) for file in files for scan in json.loads(file.read_text())}

    def _scans_of(self, file: Path, *, repair: bool) -> list[str]:
        """The scans whose rows a part holds; none, and the part is removed, where a power cut has left it half."""
        if not repair:
            return [str(scan) for scan in json.loads(file.read_text())]
        tables = list(self.folder.glob(f"{file.stem}-*.parquet"))
        try:
            scans = json.loads(file.read_text())
            if not isinstance(scans, list) or not all(isinstance(scan, str) for scan in scans):
                raise ValueError("it is no list of names")
            for table in tables:
                read_arrow(table)
        except (OSError, ValueError, WorkbenchError) as error:
            tqdm.write(f"{file}: its scans are done again: {str(error).splitlines()[0][:200]}")
            for path in (file, *tables):
                path.unlink(missing_ok=True)
            return []
        return scans

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
                    with replacing(self.folder / f"{self.number:06d}{self.suffix}-{table}.parquet") as partial:
                        write_parquet(partial, pd.DataFrame(rows))
            with replacing(
                self.folder / f"{self.number:06d}{self.suffix}.json"
            ) as partial:  # last: now they count as done
                partial.write_text(json.dumps(self.scans))
        self.scans, self.rows, self.saved = [], {}, time.monotonic()

    def collect(self, table: str) -> Path | None:
        """Join the parts into ``results/<table>.parquet``, one part in memory at a time; None if there is none."""
        self.flush()
        files = [f for n in self.lists() if (f := self.folder / f"{n.stem}-{table}.parquet").is_file()]
        if not files:
            return None
        # a column that is empty in one part has no type there
        schema = pa.unify_schemas([pq.read_schema(f).remove_metadata() for f in files], promote_options="permissive")
        path = self.run.path / "results" / f"{table}.parquet"
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as partial, pq.ParquetWriter(partial, schema, write_page_checksum=True) as writer:
            for file in files:
                writer.write_table(_conformed(pq.read_table(file), schema))
        return path

    def remove(self) -> None:
        """Once the tables are written, the parts are not needed, nor what the shards were told."""
        forget(self.run)


def forget(run: Run) -> None:
    """Remove the parts of a run, and what its shards were told."""
    for folder in (FOLDER, SHARDS):
        shutil.rmtree(run.path / folder, ignore_errors=True)


def _in_order(path: Path, scans: Sequence[str]) -> None:
    """Rows in the order of the scans, each scan once: the results of a run that was stopped, or spread over processes,
    are those of one that was not. Mostly they are so already, and only the names are read."""
    place = {scan: i for i, scan in enumerate(scans)}
    names = read_arrow(path, ["scan_id"])["scan_id"].to_pylist() if "scan_id" in column_names(path) else []
    order = [place.get(name, len(place)) for name in names]
    if order != sorted(order):
        table = read_arrow(path)
        with replacing(path) as partial:
            pq.write_table(
                table.take(sorted(range(len(order)), key=order.__getitem__)), partial, write_page_checksum=True
            )


def _number(file: Path) -> int:
    return int(file.stem.split(".")[0])


def _conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        table[f.name].cast(f.type) if f.name in table.column_names else pa.nulls(len(table), f.type) for f in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def over_scans(
    run: Run,
    scans: Sequence[str],
    work: Callable[[str], Rows],
    tables: Iterable[str],
    how: SpreadConfig | None = None,
    *,
    desc: str,
    set_aside: bool = True,
) -> None:
    """Do ``work`` for each scan that is not done yet and write ``tables`` (and ``set_aside``) at the end.

    A scan that cannot be used (WorkbenchError) is set aside with its cause, and the others go on; without ``set_aside``
    it ends the job, since none may be missing. Where they are worked on, ``how`` says; in a process that is for a shard
    of them, only these are done, and the rest of the job is not.

    Raises:
        WorkbenchError: no scan at all could be used, or a shard failed.
    """
    mine = shard()
    if how is not None and how.executor != "here" and mine is None:
        parts = Parts(run)
        spread(run, scans, parts.look, how, desc=desc)
    with Parts(run, of=mine) as parts:
        for scan in tqdm(scans if mine is None else mine.scans, desc=desc, unit="scan", initial=0):
            if scan in parts.done:
                continue
            try:
                rows = work(scan)
            except WorkbenchError as error:
                if not set_aside:
                    raise
                rows = {
                    "set_aside": [{"scan_id": scan, "what": error.what, "cause": error.cause, "remedy": error.remedy}]
                }
                tqdm.write(f"set aside: {scan}: {error.what}")
            parts.add(scan, rows)
        if mine is not None:
            parts.flush()
            raise ShardDone
        wanted = list(tables)
        written = [parts.collect(table) for table in wanted]
        aside = parts.collect("set_aside")
    for path in filter(None, [*written, aside]):
        _in_order(path, scans)
    if written and written[0] is None:
        cause = read_parquet(aside).iloc[0] if aside else None
        raise WorkbenchError(
            f"{run.path}: no scan could be used",
            cause="no scans were given" if cause is None else f"for example {cause['scan_id']}: {cause['what']}",
            remedy="choose other scans, or another query",
        )
    parts.remove()
