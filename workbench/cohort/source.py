"""What every kind of source is turned into before any scan is opened, and the helpers its readers share."""

from __future__ import annotations

import csv
import io
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from workbench.cohort.sheets import is_sheet, read_sheet
from workbench.errors import WorkbenchError
from workbench.runs import texts

MAX_COLUMNS = 50_000  # UK Biobank has some 30,000; a row costs its names again
DESCRIPTION = "dataset_description.json"
MISSING = {"", "n/a", "na", "nan"}
NONE: Mapping[str, Any] = MappingProxyType({})  # one for all candidates that have none
IMAGE_ENDINGS = (".nii.gz", ".nii", ".mgz", ".mgh", ".mnc", ".img")  # of a pair .img and .hdr, the .img


@dataclass(frozen=True, slots=True)
class Part:
    """A file that holds some structures of a segmentation, such as one side.

    Attributes:
        path: The file.
        codes: Code in the file → code in the whole; None: every voxel that is not 0 becomes ``code``.
        code: See ``codes``.
        side: "left" or "right" where its name says so: checked against where it lies.
    """

    path: Path
    codes: tuple[tuple[int, int], ...] | None = None
    code: int = 0
    side: str = ""


@dataclass
class Candidate:
    """A scan as its source lists it; nothing about it has been checked yet."""

    dataset: str
    participant_id: str
    path: Path
    session: str = ""
    entities: str = ""  # what tells it from other scans of the same person and session, e.g. "acq-native"
    seg_path: Path | None = None
    seg_parts: Sequence[Part] = ()  # in place of seg_path: files that make one segmentation
    mask_path: Path | None = None
    mask_named: bool = True  # whether it is said to be of the brain; else its volume must be a brain's
    values: dict[str, Any] = field(default_factory=dict)  # further columns as written; missing ones left out
    simulated: bool = False
    channels: Mapping[str, Path] = field(default_factory=lambda: NONE)  # further contrasts of the same session
    volumes: Mapping[str, int] = field(default_factory=lambda: NONE)  # contrast -> volume of its 4D file
    person_of: str = ""  # the data set after which the person is named, where it is another than ``dataset``

    def __post_init__(self) -> None:
        self.session, self.entities = sys.intern(self.session), sys.intern(self.entities)  # few, of many scans

    @property
    def person(self) -> str:
        """The person's name over all data sets."""
        return f"{self.person_of or self.dataset}/{self.participant_id}"


class _AsText:
    """A file that is held as text and handed out as a ``Path``, which weighs five times as much: cohorts are long."""

    def __init__(self, held: str) -> None:
        self.held = held

    def __get__(self, candidate: Candidate, owner: type | None = None) -> Path | None:
        text: str | None = getattr(candidate, self.held)
        return None if text is None else Path(text)

    def __set__(self, candidate: Candidate, path: Path | str | None) -> None:
        setattr(candidate, self.held, None if path is None else str(path))


for _name in ("path", "seg_path", "mask_path"):
    setattr(Candidate, _name, _AsText(f"_{_name}"))


@dataclass(frozen=True)
class Remark:
    """A line of the report. ``kind``: "note" (what was done), "guess" (what was not said and was concluded; refused
    under ``--strict``), or "unused" (what was there and is not in the cohort)."""

    kind: str
    dataset: str
    text: str

    def __str__(self) -> str:
        return f"{self.dataset}: {self.text}" if self.dataset else self.text


@dataclass
class Source:
    """One data set: its candidates, its label names, what was refused already, and remarks for the report."""

    dataset: str
    candidates: list[Candidate] = field(default_factory=list)
    labels: list[tuple[int, str]] = field(default_factory=list)
    set_aside: list[dict[str, str]] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    described: dict[str, Any] = field(default_factory=dict)  # of its columns, as in BIDS' participants.json
    columns: list[str] = field(default_factory=list)  # of its tables, also those in which no value stands
    root: Path | None = None  # where it lies, if it is a folder
    absent_is_none: bool = (
        False  # a structure that a segmentation does not hold is not there, as a tumour's part may be
    )

    def refuse(
        self, path: Path | str, cause: str, remedy: str, *, participant_id: str = "", kind: str = "scan"
    ) -> None:
        person = f"{self.dataset}/{participant_id}" if participant_id else ""
        row = {
            "path": path,
            "dataset": self.dataset,
            "participant": person,
            "kind": kind,
            "cause": cause,
            "remedy": remedy,
        }
        self.set_aside.append({name: texts.printable(value) for name, value in row.items()})

    @property
    def notes(self) -> list[str]:
        """Every remark as text."""
        return [str(remark) for remark in self.remarks]

    def note(self, text: str) -> None:
        """Say what was done."""
        self._remark("note", text)

    def guess(self, text: str) -> None:
        """Say what the data set does not say and was concluded all the same."""
        self._remark("guess", text)

    def unused(self, text: str) -> None:
        """Say what is there and is not in the cohort."""
        self._remark("unused", text)

    def _remark(self, kind: str, text: str) -> None:
        remark = Remark(kind, self.dataset, texts.printable(text))
        if remark not in self.remarks:
            self.remarks.append(remark)


def absolute(path: Path) -> Path:
    """The absolute path with links left as they are: in a DataLad data set a link's target has no readable name."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or a link to one; a link that goes round in a circle is neither."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def stem_of(path: Path | str) -> str:
    """The file's name without ``.nii.gz`` or another ending of images."""
    name = Path(path).name
    return next((name.removesuffix(end) for end in IMAGE_ENDINGS if name.endswith(end)), Path(name).stem)


def entities_of(path: Path) -> dict[str, str]:
    """BIDS entities of a file name: ``sub-01_ses-1_acq-x_T1w.nii.gz`` → ``{"sub": "01", "ses": "1", "acq": "x"}``."""
    pairs = (part.split("-", 1) for part in stem_of(path).split("_") if "-" in part)
    return {key: value for key, value in pairs}


def plain(text: str) -> str:
    """``text`` in the characters a scan id may have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "x"


def decoded(content: bytes) -> str:
    """Text in the encodings that tables come in: UTF-8 or UTF-16 with or without a mark, else Latin-1."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    if b"\0" in content[:200] and len(content) % 2 == 0:  # UTF-16 without its mark: every other byte of a header is 0
        return content.decode("utf-16-be" if content[:1] == b"\0" else "utf-16-le", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")  # what spreadsheets of an older age wrote


def read_rows(path: Path, *, delimiter: str = "\t", source: Source | None = None) -> list[dict[str, str]]:
    """Rows of a spreadsheet or a delimited text file with a header, as written, missing values left out.

    Args:
        path: The file.
        delimiter: Between the cells of a text file.
        source: Is told which sheet was read, which columns have one name, and which rows have more cells than the
            header has. Such a row is empty: which of its cells belongs to which column, nobody knows.

    Raises:
        WorkbenchError: not readable, not text, without a header, or (without ``source``) a row of too many cells.
    """
    return read_table(path, delimiter=delimiter, source=source)[0]


def read_table(
    path: Path, *, delimiter: str = "\t", source: Source | None = None
) -> tuple[list[dict[str, str]], list[str]]:
    """``read_rows`` and the names of all columns, also of those in which no value stands."""
    if is_sheet(path):
        header, cells, others = read_sheet(path)
        if others and source:
            source.note(f"of {path.name} one sheet is read ({others[0]}), not: {', '.join(others[1:])}")
        return _columns(path, header, cells, source)
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited at for ever
            raise csv.Error("it is no file")
        if (size := path.stat().st_size) > texts.MAX_TEXT:
            raise csv.Error(
                f"it has {size / 1e6:.0f} MB, more than {texts.MAX_TEXT / 1e6:.0f}; is it what its name says?"
            )
        text = decoded(path.read_bytes())
        if (columns := text[: text.find("\n")].count(delimiter) + 1) > MAX_COLUMNS:
            raise csv.Error(f"its first line has {columns:,} columns, more than {MAX_COLUMNS:,}")
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        header, *cells = [line for line in lines if line] or [[]]
    except (OSError, csv.Error) as error:
        raise WorkbenchError(
            f"{path}: cannot be read as a table",
            cause=str(error).splitlines()[0],
            remedy="save it as plain text with a header line",
        ) from error
    if not header:
        raise WorkbenchError(f"{path}: cannot be read as a table", cause="it is empty", remedy="add a header line")
    return _columns(path, header, cells, source)


def delimiter_of(path: Path) -> str:
    """What stands between the cells of a table, by its first line: a comma, a semicolon or a tab."""
    if is_sheet(path) or not path.is_file():
        return "\t"
    try:
        with open(path, "rb") as file:
            header = decoded(file.read(1_000_000)).split("\n", 1)[0]
    except OSError:  # said by whoever reads it
        return "\t"
    most = max("\t,;" if path.suffix == ".tsv" else ",;\t", key=header.count)
    return "\t" if path.suffix == ".tsv" and "\t" in header else most


def _columns(
    path: Path, header: list[str], cells: list[list[str]], source: Source | None
) -> tuple[list[dict[str, str]], list[str]]:
    """Cells by the names of their columns. Of columns with one name and other values all but the first are called
    ``age (2)``; one without a name (the row numbers that a program wrote) is left out."""
    header = [name.strip() for name in header]
    once: dict[str, str] = {}  # a site or a code stands in thousands of cells
    cells = [[once.setdefault(text := cell.strip(), text) for cell in row] for row in cells]
    bad = {n: len(row) for n, row in enumerate(cells) if any(row[len(header) :])}
    if bad:
        first = next(iter(bad))
        told = (
            f"{len(bad)} rows of {path.name} have more cells than its header (for example row {first + 2}: "
            f"{bad[first]}, not {len(header)})"
        )
        if source is None:
            raise WorkbenchError(
                f"{path}: cannot be read as a table", cause=told, remedy="quote cells that hold the delimiter"
            )
        source.unused(f"{told} and are not used; is a comma in one of them not quoted?")
        cells = [[] if n in bad else row for n, row in enumerate(cells)]
    names: list[str] = []
    for place, name in enumerate(header):
        first = header.index(name)
        if name and first != place:
            if all(row[place : place + 1] == row[first : first + 1] for row in cells):
                name = ""  # the same column again
            else:
                name = f"{name} ({header[: place + 1].count(name)})"
                if source:
                    source.guess(f"{path.name} has several columns {header[place]}: the first counts, {name} is kept")
        names.append(name)
    rows = [
        {name: cell for name, cell in zip(names, row, strict=False) if name and cell.lower() not in MISSING}
        for row in cells
    ]
    return rows, [name for name in names if name]


def read_json(path: Path, unread: dict[Path, str] | None = None) -> dict[str, Any]:
    """A JSON object, or ``{}`` where there is none; what is optional must not stop a cohort.

    Args:
        path: The file.
        unread: Gets the cause by file where one is there that cannot be read, so that the report can say it.
    """
    try:
        return texts.read_json(path) if path.exists() else {}
    except WorkbenchError as error:
        if unread is not None:
            unread[path] = error.cause
        return {}


def whole(value: object) -> int | None:
    """A whole number as tables and JSON write one (7, "7", "7.0"); None for anything else, or of ten digits."""
    found = re.fullmatch(r"(-?[0-9]{1,9})(\.0*)?", str(value).strip())
    return int(found[1]) if found else None


def is_simulated(folder: Path) -> bool:
    """Whether the data set says of itself that its scans are simulated; ``gather`` tells of a damaged description."""
    description = read_json(folder / DESCRIPTION)
    made_by = description.get("GeneratedBy")
    names = (
        [str(step.get("Name", "")) for step in made_by if isinstance(step, dict)] if isinstance(made_by, list) else []
    )
    return description.get("Simulated") is True or any("workbench simulate" in name for name in names)
