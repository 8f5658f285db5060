"""The tables of a BIDS folder (participants.tsv, sub-*_sessions.tsv) and its scans: whose row is whose."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from workbench.cohort.headers import NAMES, PERSON, SESSION, find, find_known, spelt
from workbench.cohort.match import (
    alike,
    few,
    id_number,
    matched,
    plain_id,
    plain_session,
    session_day,
    session_number,
)
from workbench.cohort.sheets import ENDINGS as SHEETS
from workbench.cohort.source import Candidate, Source, delimiter_of, read_json, read_table
from workbench.errors import WorkbenchError

Row = dict[str, str]
WITH_SESSION = re.compile(r"(?P<person>.+?)_(?P<session>ses-[^_]+)")
SESSION_ID = "session_id"
CHANGING = ("age", "site", "scanner", "diagnosis")
# participants.tsv, what stands in for it, names of labels, and what BIDS has for other modalities
OWN_TABLES = re.compile(r"^participants\.|^samples\.tsv$|(dseg|probseg|_events|_channels)\.tsv$", re.IGNORECASE)


def fill_values(root: Path, source: Source) -> None:
    """Set ``values`` of the candidates from the tables below ``root``: a session's own row before its person's.

    Ids and sessions that are written in another way are matched where only one can be meant, and that is said.
    """
    people: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in source.candidates:
        people[candidate.participant_id].append(candidate)
    if same := alike(people):
        source.guess(f"ids that differ only in zeros or case count as different people: {_pairs(same)}")
    rows, session_column = _participants(root, source, list(people))
    told = _Told()
    for person, candidates in people.items():
        _fill_person(rows.get(person, []), session_column, candidates, told)
        _fill_sessions(root / person, candidates, source, told)
    told.tell(source)
    _tell_other_tables(root, source)
    unread: dict[Path, str] = {}
    source.described = {**read_json(root / "sessions.json", unread), **read_json(root / "participants.json", unread)}
    for path, cause in unread.items():
        source.unused(f"{path.name} is not used: {cause}")
    if (root / "phenotype").is_dir() and (tables := sorted(p.name for p in (root / "phenotype").glob("*.tsv"))):
        source.unused(f"tables in phenotype/ are not read: {few(tables)}; add their columns to participants.tsv")


class _Told:
    """What is said of many people in one line."""

    def __init__(self) -> None:
        self.matched: dict[tuple[str, str], None] = {}
        self.without: list[str] = []
        self.for_all: list[str] = []
        self.contradicting: dict[str, set[str]] = {}

    def tell(self, source: Source) -> None:
        if self.matched:
            pairs = [f"{there} → {name}" for name, there in self.matched]
            source.guess(f"rows of sessions are matched though the names are written differently: {few(pairs)}")
        if self.without:
            source.unused(
                f"{len(self.without)} sessions have no row of their own, so what changes between sessions (age, "
                f"diagnosis …) is not known for them: {few(self.without)}"
            )
        if self.for_all:
            source.guess(
                f"the age that participants.tsv has of {len(self.for_all)} people is taken for each of their sessions: "
                f"{few(self.for_all)}"
            )
        if self.contradicting:
            columns = sorted(set().union(*self.contradicting.values()))
            source.unused(
                f"{len(self.contradicting)} people stand in a table more than once with different values, and nothing "
                f"tells which is of which scan: {few(columns)} left out for {few(self.contradicting)}"
            )


def _fill_person(rows: list[Row], session_column: str, candidates: list[Candidate], told: _Told) -> None:
    """A person's rows of participants.tsv: one for all scans, or one a session."""
    if not rows:
        return
    person = candidates[0].participant_id
    by_session = _by_session(rows, session_column)
    common, contradicting = _agreed(rows)
    common.pop(session_column, None)
    sessions = sorted({candidate.session for candidate in candidates})
    if not by_session or (sessions == [""] and len(rows) == 1):
        if contradicting:
            told.contradicting[person] = set(contradicting)
        for candidate in candidates:
            candidate.values |= common
        if len(sessions) > 1 and find_known(common, "age"):
            told.for_all.append(person)
        return
    if sessions == [""]:
        told.contradicting[person] = set(contradicting) - {session_column}
        candidates[0].values |= common
        for candidate in candidates[1:]:
            candidate.values |= common
        return
    rows_of = _match_sessions(sessions, by_session, told)
    for candidate in candidates:
        mine = rows_of.get(candidate.session)
        if mine is None:
            told.without.append(f"{person} {candidate.session or 'without a session'}".strip())
            # what is one and the same in several rows does not change; of a single row, only sex
            candidate.values |= common if len(rows) > 1 else _constant(common)
            continue
        own, unclear = _agreed(mine)
        if unclear:
            told.contradicting.setdefault(person, set()).update(unclear)
        own.pop(session_column, None)
        candidate.values |= {**_constant(common), **own}


def _fill_sessions(folder: Path, candidates: list[Candidate], source: Source, told: _Told) -> None:
    """Columns of each session in ``sub-*_sessions.tsv``: in a longitudinal study, age and diagnosis stand there."""
    sessions = sorted({candidate.session for candidate in candidates} - {""})
    path = folder / f"{folder.name}_sessions.tsv"
    if not sessions or not path.is_file():
        return
    try:
        rows, columns = read_table(path, source=source)
    except WorkbenchError as error:
        source.unused(f"{path.name} is not used: {error.cause}")
        return
    column = find(columns, ("session_id", *SESSION))
    if not column:
        source.unused(f"{path.name} is not used: it has no column session_id (is it separated by tabs?)")
        return
    source.columns += [name for name in columns if name not in source.columns]
    rows_of = _match_sessions(sessions, _by_session(rows, column), told)
    if find_known(columns, "age") and candidates[0].participant_id in told.for_all:
        told.for_all.remove(candidates[0].participant_id)
    for candidate in candidates:
        if mine := rows_of.get(candidate.session):
            own, unclear = _agreed(mine)
            if unclear:
                told.contradicting.setdefault(candidate.participant_id, set()).update(unclear)
            own.pop(column, None)
            candidate.values |= own
        elif candidate.session:
            told.without.append(f"{candidate.participant_id} {candidate.session}")
            for name in {find_known(candidate.values, known) for known in CHANGING if find_known(columns, known)}:
                candidate.values.pop(name, None)  # it changes between sessions, so the person's own row says nothing


def _match_sessions(sessions: list[str], rows: dict[str, list[Row]], told: _Told) -> dict[str, list[Row]]:
    found, _ = matched(sessions, rows, plain_session, session_day, session_number)
    told.matched |= {
        (s, there): None for s, there in found.items() if s.removeprefix("ses-") != there.removeprefix("ses-")
    }
    return {session: rows[there] for session, there in found.items()}


def _by_session(rows: list[Row], column: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if name := row.get(column, ""):
            # the folder's form, so that "01" and "ses-01" are the same name and nothing had to be guessed
            found[name if name.startswith("ses-") else f"ses-{name}"].append(row)
    return dict(found)


def _participants(root: Path, source: Source, people: list[str]) -> tuple[dict[str, list[Row]], str]:
    """Rows of ``participants.tsv`` by folder, and its column of sessions; what is wrong with it is said, for scans are
    of use without it."""
    path = root / "participants.tsv"
    if not path.is_file() and root.parent.name == "derivatives" and (root.parents[1] / path.name).is_file():
        path = root.parents[1] / path.name
        source.note(f"the people's columns are from {path}, the data set that this is derived from")
    if not path.is_file():
        others = [root / f"participants{ending}" for ending in (".csv", *SHEETS)]
        if other := next((one for one in others if one.is_file()), None):
            source.guess(f"there is no participants.tsv, {other.name} is read in its place")
            path = other
    if not path.is_file():
        source.note("there is no participants.tsv, so sex, age and site are not known")
        return {}, ""
    try:
        rows, columns = _read_participants(path, source)
    except WorkbenchError as error:
        source.unused(f"{path.name} is not used: {error.cause}")
        return {}, ""
    column = find(columns, ("participant_id", *PERSON)) or _named_people(rows, columns, people)
    if not column:
        source.unused("participants.tsv is not used: it has no column participant_id (is it separated by tabs?)")
        return {}, ""
    if column != "participant_id":
        source.guess(f"participants.tsv names people in its column {column!r}")
    by_id: dict[str, list[Row]] = defaultdict(list)
    split: list[str] = []
    for row in rows:
        name = row.pop(column, "")
        if with_session := WITH_SESSION.fullmatch(name):
            split.append(name)
            name = with_session["person"]
            row.setdefault(find(columns, SESSION) or SESSION_ID, with_session["session"])
        if name:
            by_id[name if name.startswith("sub-") else f"sub-{name}"].append(row)
    source.columns = [name for name in columns if name != column]
    if split:
        columns = [*columns, SESSION_ID]
        source.guess(
            f"{len(split)} ids of {path.name} name a session too and are read as person and session: {few(split)}"
        )
    if not by_id:
        source.unused(f"{path.name} has no row that names anybody")
    spellings = [plain_id]
    if _numbers_alone(by_id) or _numbers_alone(people):  # "1" for "sub-P001"; but "C1" is not "P1"
        spellings.append(id_number)
    found, unclear = matched(by_id, people, *spellings)
    if renamed := [f"{name} → {folder}" for name, folder in found.items() if name != folder]:
        source.guess(f"{len(renamed)} ids of participants.tsv are written differently in the folders: {few(renamed)}")
    if unclear:
        source.unused(f"ids of participants.tsv that could be several people are not used: {few(unclear)}")
    _tell_unmatched(source, people, list(by_id), found)
    session = find(columns, SESSION)
    if not spelt(session).startswith("ses") and all(len(mine) < 2 for mine in by_id.values()):
        session = ""  # one row a person: its wave or its visit is a fact, and no row of a session
    return {folder: by_id[name] for name, folder in found.items()}, session


def _tell_unmatched(source: Source, people: list[str], ids: list[str], found: dict[str, str]) -> None:
    if ids and people and not found:
        source.unused(
            f"no id of participants.tsv is the name of a folder: the table has {few(ids, 2)}, "
            f"the folders are {few(people, 2)}; nothing is known of these people"
        )
    if without := sorted(set(ids) - set(found)):
        source.unused(f"{len(without)} of {len(ids)} people in participants.tsv have no T1w scan: {few(without)}")
    if ids and (unknown := sorted(set(people) - set(found.values()))):
        source.unused(f"{len(unknown)} people are not in participants.tsv: {few(unknown)}")


def _numbers_alone(names: Iterable[str]) -> bool:
    return all(plain_id(name).isdigit() for name in names)


def _read_participants(path: Path, source: Source) -> tuple[list[Row], list[str]]:
    delimiter = delimiter_of(path)
    if delimiter != "\t" and path.suffix == ".tsv":
        source.guess(f"participants.tsv is separated by {'commas' if delimiter == ',' else 'semicolons'}, not by tabs")
    return read_table(path, delimiter=delimiter, source=source)


def _tell_other_tables(root: Path, source: Source) -> None:
    """Tables beside participants.tsv, which nobody reads."""
    endings = (".tsv", ".csv", *SHEETS)
    others = [
        path.name
        for path in sorted(root.iterdir())
        if path.suffix.lower() in endings and path.is_file() and not OWN_TABLES.search(path.name)
    ]
    if others:
        source.unused(f"tables that are not read: {few(others)}; add their columns to participants.tsv")


def _named_people(rows: list[Row], columns: list[str], people: list[str]) -> str:
    """The first column, where it names all folders of people, or nothing else than such."""
    first = columns[0] if columns else ""
    names = {row[first].removeprefix("sub-") for row in rows if first in row}
    folders = {name.removeprefix("sub-") for name in people}
    return first if names and (names <= folders or folders <= names) else ""


def _agreed(rows: list[Row]) -> tuple[dict[str, Any], list[str]]:
    """What several rows say alike, and the columns in which they contradict each other."""
    seen: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for name, value in row.items():
            seen[name].add(value)
    return (
        {name: next(iter(values)) for name, values in seen.items() if len(values) == 1},
        [name for name, values in seen.items() if len(values) > 1],
    )


def _constant(values: dict[str, Any]) -> dict[str, Any]:
    column = find(values, NAMES["sex"])
    return {column: values[column]} if column else {}


def _pairs(groups: list[list[str]]) -> str:
    return few([" and ".join(group) for group in groups])
