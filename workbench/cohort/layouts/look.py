"""What the readers of layouts share: finding scans and tables by their names, and rows by the person they are about."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from workbench.cohort.sheets import is_sheet, read_sheet
from workbench.cohort.source import IMAGE_ENDINGS, Source, absolute, decoded, delimiter_of, is_folder, read_rows
from workbench.errors import WorkbenchError

Row = dict[str, Any]
SHOWN = 5


def files(root: Path, depth: int = 6) -> Iterator[Path]:
    """Every file below ``root`` in order of its name, at most ``depth`` folders down; hidden ones left out.

    Links to folders are followed once: what lies elsewhere is often linked, and a link back up must not go round.
    """
    return _files(root, depth, set())


def _files(root: Path, depth: int, seen: set[tuple[int, int]]) -> Iterator[Path]:
    try:
        here = root.stat()
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    except OSError:
        return
    if (here.st_dev, here.st_ino) in seen:
        return
    seen.add((here.st_dev, here.st_ino))
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if is_folder(entry):
            if depth > 0:
                yield from _files(Path(entry.path), depth - 1, seen)
        else:
            yield Path(entry.path)


def folders(root: Path) -> list[Path]:
    """The folders in ``root``, in order; hidden ones left out."""
    try:
        return [Path(e.path) for e in sorted(os.scandir(root), key=lambda e: e.name) if _shown_folder(e)]
    except OSError:
        return []


def _shown_folder(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and is_folder(entry)


def any_file(root: Path, fits: re.Pattern[str], depth: int = 6, looked_at: int = 2000) -> bool:
    """Whether the name of one of the first ``looked_at`` files below ``root`` fits."""
    return any(fits.match(path.name) for _, path in zip(range(looked_at), files(root, depth), strict=False))


def tables(root: Path, *names: str, below: bool = True) -> list[Path]:
    """Tables by name (``ADNIMERGE*.csv``; any case) in ``root``, beside it, or one folder below either.

    People unpack a data set's tables into the folder of the scans, or into one beside it. Those in ``root`` come first.
    A name that every data set has (``participants.tsv``) is not looked for ``below``: a folder beside ``root`` may be
    another data set, whose sub-01 is somebody else.
    """
    fits = [re.compile(re.escape(name).replace(r"\*", ".*"), re.IGNORECASE) for name in names]
    found: dict[Path, None] = {}
    for place in (root, root.parent):
        inside = [place, *([f for f in folders(place) if f != root and _holds_tables(f)] if below else [])]
        for folder in inside:
            for path in sorted(folder.iterdir()):
                if any(fit.fullmatch(path.name) for fit in fits) and path.is_file():
                    found.setdefault(absolute(path))
    return list(found)


def columns_of(path: Path) -> set[str]:
    """Names of the columns in lower case, from the first line alone: whether a table is worth reading."""
    if is_sheet(path):
        try:
            header, _, _ = read_sheet(path)
        except WorkbenchError:
            return set()
    else:
        try:
            with open(path, "rb") as file:
                first = decoded(file.read(100_000)).split("\n", 1)[0]
            header = next(csv.reader([first], delimiter=delimiter_of(path)), [])
        except OSError:
            return set()
    return {name.strip().lower() for name in header}


def _holds_tables(folder: Path) -> bool:
    """Whether a folder may hold tables: a data set has thousands of folders of people, which are not looked into."""
    return not re.search(r"\d{3}", folder.name) or bool(re.search(r"data|table|clinic|csv", folder.name, re.IGNORECASE))


def rows_of(path: Path, source: Source) -> list[Row]:
    """Rows of a table that helps but is not needed: where it cannot be read, that is noted and there are none."""
    try:
        rows = read_rows(path, delimiter=delimiter_of(path), source=source)
    except WorkbenchError as error:
        source.note(f"{path.name} is not used: {error.cause}")
        return []
    return [row for row in rows if row]


def value(row: Row, *names: str) -> str:
    """The first of the columns that has a value, whatever its case; "" where none has."""
    lower = {name.lower(): text for name, text in row.items()}
    return next((str(lower[name.lower()]) for name in names if str(lower.get(name.lower(), "")).strip()), "")


def by_key(rows: Iterable[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    """Rows under what ``key`` makes of them; those for which it makes "" are left out."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if name := key(row):
            found[name].append(row)
    return dict(found)


def agreed(rows: list[Row]) -> tuple[Row, list[str]]:
    """One row of several about the same: values that do not contradict each other, and the columns that do."""
    seen: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        for name, text in row.items():
            if text not in seen[name]:
                seen[name].append(text)
    return {name: found[0] for name, found in seen.items() if len(found) == 1}, [
        n for n, f in seen.items() if len(f) > 1
    ]


def tell_contradicting(unclear: Mapping[str, list[str]], source: Source) -> None:
    """Say of whom a table has several rows that contradict each other, and in which columns (``agreed``)."""
    told = {name: columns for name, columns in unclear.items() if columns}
    if told:
        source.note(
            f"{len(told)} people have rows that contradict each other; what they contradict in is left out: "
            + few(f"{person} ({', '.join(columns[:3])})" for person, columns in told.items())
        )


def read_date(text: str) -> date | None:
    """A day as these data sets write it: 2006-04-18 (with or without a time), 4/18/2006 or 4/18/06 (month first),
    18-Apr-06."""
    first = re.split(r"[ T_]", text.strip())[0]
    for form in ("%Y-%m-%d", "%m/%d/%Y", "%m/%d/%y", "%d-%b-%y", "%d-%b-%Y"):
        try:
            return datetime.strptime(first, form).date()
        except ValueError:
            continue
    return None


def number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def nearest(rows: list[Row], when: date, *columns: str, within: int) -> tuple[Row, int] | None:
    """The row whose date is nearest to ``when``, and how many days apart; None where none is ``within`` days."""
    dated = [(abs((day - when).days), i, row) for i, row in enumerate(rows) if (day := read_date(value(row, *columns)))]
    apart, _, row = min(dated, default=(within + 1, 0, {}))
    return (row, apart) if apart <= within else None


def tell_strays(paths: Iterable[Path], source: Source) -> None:
    """Say of files that are images by their endings, and whose names are not understood, that they are not used."""
    names = [path.name for path in paths if path.name.lower().endswith(IMAGE_ENDINGS)]
    if names:
        source.unused(f"{len(names)} images have names that are not understood, and are not used: {few(names)}")


def counted(names: Iterable[str]) -> str:
    """ "MPRAGE (12), FLAIR (3), …": the most frequent first."""
    most = Counter(names).most_common()
    return ", ".join(f"{name} ({n})" for name, n in most[:SHOWN]) + (", …" if len(most) > SHOWN else "")


def few(names: Iterable[str]) -> str:
    """The first of some names, and whether there are more."""
    every = sorted(names)
    return ", ".join(every[:SHOWN]) + (", …" if len(every) > SHOWN else "")
