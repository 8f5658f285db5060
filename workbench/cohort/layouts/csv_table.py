"""A table (.csv, .tsv or a spreadsheet) with one row a scan."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from workbench.cohort import headers
from workbench.cohort.contrasts import columns_of, contrast_of
from workbench.cohort.labels import read_label_table
from workbench.cohort.layouts.layout import Layout, Options
from workbench.cohort.layouts.look import counted
from workbench.cohort.match import few
from workbench.cohort.sheets import is_sheet
from workbench.cohort.source import Candidate, Source, absolute, delimiter_of, is_simulated, read_table
from workbench.errors import WorkbenchError


def read_csv(path: Path, dataset: str, options: Options | None = None) -> Source:
    """List the scans of a table (.csv, .tsv, .xlsx, .xls, .ods).

    Columns, in any case: ``path`` and ``participant`` (required, or one of the usual names for them: ``subject_id``,
    ``PTID`` …, see ``headers``), ``session``, ``site``, ``scanner``, ``sex``, ``age``, ``seg_path``, ``mask_path``,
    ``simulated``; any other column is kept as a label. Of several contrasts each has a column, ``path_FLAIR`` or
    ``flair_path`` or ``FLAIR``; the first may be ``path``; or each has rows of its own, and a column ``contrast`` (or
    ``modality``, ``suffix``) says which. Relative paths start at the table's folder. Names of label
    codes: ``dseg.tsv`` (or ``<table>_dseg.tsv``) beside the table.

    Ids that differ only in leading zeros, ``.0`` or case are one person, and the report says so. A mask is taken for
    one of the brain if its column (``brain_mask``) or its file says so, else if it has a brain's volume.

    Raises:
        WorkbenchError: the table cannot be read, has no rows, or no column that says which file or whose it is.
    """
    source = Source(dataset)
    rows, source.columns = read_table(path, delimiter=delimiter_of(path), source=source)
    present = [name for name in source.columns if any(name in row for row in rows)]
    by_row = _contrast_column(rows, present)
    columns = {
        known: headers.find(present, names)
        for known, names in {
            "path": headers.PATH if by_row else _path_columns(options or Options()),
            "participant": headers.PERSON,
            "session": headers.SESSION,
            "seg_path": headers.SEGMENTATION,
            "mask_path": headers.MASK,
            "simulated": ("simulated",),
        }.items()
    }
    if not columns["path"]:
        raise WorkbenchError(
            f"{path}: lists no scan",
            remedy="give one row a scan, with its file in a column 'path'",
            cause=f"no row has a value in a column 'path'; its columns are: {', '.join(source.columns) or 'none'}",
        )
    if not columns["participant"]:
        raise WorkbenchError(
            f"{path}: does not say whose scan is whose",
            cause=f"none of its columns ({', '.join(present)}) is participant, subject_id, PTID or alike",
            remedy="add a column 'participant'; without it scans of one person could land on two sides of a split",
        )
    _tell_other_ids(rows, present, columns["participant"], source)
    same = _same_people([row.get(columns["participant"], "") for row in rows], source)
    simulated: dict[Path, bool] = {}
    if by_row:
        rows = _of_contrast(rows, by_row, options or Options(), source)
    for number, row in enumerate(rows, start=2):
        where, person, session, seg_name, mask_name, flag = (
            row.pop(name, "") if name else "" for name in columns.values()
        )
        person = same.get(person, person)
        if not where or not person:
            if row or where or person:
                source.refuse(
                    where or f"{path} line {number}",
                    f"the row has no {'participant' if where else columns['path']}",
                    "fill it in; without it a person could land on two sides of a split",
                    kind="row",
                )
            continue
        scan, seg, mask = (absolute(path.parent / name) if name else None for name in (where, seg_name, mask_name))
        assert scan is not None
        said = flag.lower() in ("1", "true", "yes")
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
                mask_named="brain" in f"{columns['mask_path']} {mask_name}".lower(),
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


def _contrast_column(rows: list[dict[str, str]], present: list[str]) -> str:
    """The column that says of which contrast a row is; "" where there is none, or none of its values is a contrast."""
    column = headers.find(present, headers.CONTRAST)
    return column if column and any(contrast_of(row.get(column, "")) for row in rows) else ""


def _of_contrast(rows: list[dict[str, str]], column: str, options: Options, source: Source) -> list[dict[str, str]]:
    """The rows of the contrast that is asked for, the others emptied, so that each keeps its number."""
    others = [row.get(column, "none") for row in rows if row and contrast_of(row.get(column, "")) != options.contrast]
    if others and options.first:
        source.unused(f"rows of another {column} than {options.contrast} are not taken: {counted(others)}")
    return [
        {name: text for name, text in row.items() if name != column}
        if contrast_of(row.get(column, "")) == options.contrast
        else {}
        for row in rows
    ]


def _path_columns(options: Options) -> tuple[str, ...]:
    """Spellings of the column with the files of a contrast, best first."""
    own = columns_of(options.contrast)
    if options.contrast == "T1w" and options.first:
        return (*headers.PATH, *own)
    return (*own, *(name for name in headers.PATH if name not in columns_of("T1w"))) if options.first else own


def _same_people(given: list[str], source: Source) -> dict[str, str]:
    """The spelling to use for each id: "001", "1" and "1.0" are one person, and so are "a7" and "A7"."""
    spellings: dict[str, list[str]] = defaultdict(list)
    for name in dict.fromkeys(given):
        spellings[re.sub(r"(?<!\d)0+(?=\d)", "", name.removesuffix(".0").casefold())].append(name)
    alike = [names for names in spellings.values() if len(names) > 1]
    if alike:
        shown = ", ".join(" and ".join(map(repr, names)) for names in alike[:5]) + (", …" if len(alike) > 5 else "")
        source.guess(f"ids that differ only in zeros, '.0' or case are taken for one person ({len(alike)}): {shown}")
    return {name: names[0] for names in alike for name in names}


def _tell_other_ids(rows: list[dict[str, str]], present: list[str], column: str, source: Source) -> None:
    """Say so where another column of ids makes other people of the same rows."""
    for other in present:
        if headers.spelt(other) not in headers.PERSON or other == column:
            continue
        pairs = {(row[column], row[other]) for row in rows if column in row and other in row}
        if len({a for a, _ in pairs}) < len(pairs) or len({b for _, b in pairs}) < len(pairs):
            shown = few([f"{a} and {b}" for a, b in sorted(pairs)], 3)
            source.guess(f"{column} says whose a scan is, not {other}, which divides the rows otherwise: {shown}")


def _recognises(path: Path) -> bool:
    return (path.suffix in (".csv", ".tsv") or is_sheet(path)) and path.is_file()


LAYOUT = Layout(
    "table", "a .csv, .tsv, .xlsx or .xls with the columns path and participant", _recognises, read_csv, contrasts=True
)
