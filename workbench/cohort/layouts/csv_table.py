"""A CSV or TSV with one row a scan."""

from __future__ import annotations

from pathlib import Path

from workbench.cohort.labels import read_label_table
from workbench.cohort.layouts.layout import Layout, Options
from workbench.cohort.source import Candidate, Source, absolute, is_simulated, read_rows, stem_of
from workbench.errors import WorkbenchError


def read_csv(path: Path, dataset: str, options: Options | None = None) -> Source:
    """List the scans of a table.

    Columns: ``path`` (required); ``participant`` (or ``participant_id``), ``session``, ``site``, ``scanner``,
    ``sex``, ``age``, ``seg_path``, ``mask_path``, ``simulated``; any other column is kept as a label. Relative paths
    start at the table's folder. Names of label codes: ``dseg.tsv`` (or ``<table>_dseg.tsv``) beside the table.

    Without a column ``participant`` every scan counts as a person of its own, and the report says so.

    Raises:
        WorkbenchError: the table cannot be read, has no rows or no column ``path``.
    """
    rows = read_rows(path, delimiter=_delimiter(path))
    if not any("path" in row for row in rows):
        raise WorkbenchError(
            f"{path}: lists no scan",
            remedy="give one row a scan, with its file in a column 'path'",
            cause="no row has a value in a column 'path'",
        )
    source = Source(dataset)
    person_column = next((n for n in ("participant", "participant_id") if any(n in row for row in rows)), "")
    if not person_column:
        source.note("the table has no column 'participant': each scan counts as a person of its own")
    simulated: dict[Path, bool] = {}
    for number, row in enumerate(rows, start=2):
        where = row.pop("path", "")
        person = row.pop(person_column, "") if person_column else stem_of(where)
        if not where or not person:
            if row or where or person:
                source.refuse(
                    where or f"{path} line {number}",
                    f"the row has no {'participant' if where else 'path'}",
                    "fill it in; without it a person could land on two sides of a split",
                    kind="row",
                )
            continue
        scan, seg, mask = (
            absolute(path.parent / name) if name else None
            for name in (where, row.pop("seg_path", ""), row.pop("mask_path", ""))
        )
        assert scan is not None
        session, said = row.pop("session", ""), row.pop("simulated", "").lower() in ("1", "true", "yes")
        if scan.parent not in simulated:
            simulated[scan.parent] = any(is_simulated(folder) for folder in list(scan.parents)[:6])
        source.candidates.append(
            Candidate(
                dataset,
                person,
                scan,
                session,
                seg_path=seg,
                mask_path=mask,
                values=row,
                simulated=said or simulated[scan.parent],
            )
        )
    tables = [p for p in (path.with_name(f"{path.stem}_dseg.tsv"), path.with_name("dseg.tsv")) if p.is_file()]
    if tables:
        source.labels = read_label_table(tables[0])
    elif any(c.seg_path for c in source.candidates):
        source.note("there is no dseg.tsv beside the table, so its label codes have no names")
    return source


def _delimiter(path: Path) -> str:
    if path.suffix == ".tsv":
        return "\t"
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        header = file.readline()
    return ";" if header.count(";") > header.count(",") else ","


def _recognises(path: Path) -> bool:
    return path.suffix in (".csv", ".tsv") and path.is_file()


LAYOUT = Layout("table", "a .csv or .tsv with a column 'path'", _recognises, read_csv)
