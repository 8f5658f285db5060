"""Numbers of each scan beside an embedding: the cohort's own columns, and tables such as volumes of FreeSurfer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from workbench.analysis.reliability.quantities import Quantities
from workbench.cohort import headers
from workbench.cohort.match import plain_id, plain_session
from workbench.cohort.source import read_rows
from workbench.errors import WorkbenchError


def of_columns(one: Quantities, columns: tuple[str, ...]) -> list[Quantities]:
    """Each column of the scans as a quantity of its own: scans that lack it are not in it.

    Raises:
        WorkbenchError: no such column, or it holds no numbers.
    """
    found = []
    for name in columns:
        if name not in one.scans:
            raise WorkbenchError(
                f"{one.run}: its scans have no column '{name}'",
                cause=f"they have: {', '.join(map(str, one.scans.columns))}"[:300],
                remedy="choose another of --columns",
            )
        found.append(_column(one, "column", name, pd.to_numeric(one.scans[name], errors="coerce"), f"column '{name}'"))
    return found


def of_table(one: Quantities, path: Path) -> tuple[list[Quantities], list[str]]:
    """The columns of numbers of a table with a row a session, as quantities of the scans of ``one``.

    A row is found by ``scan_id``, or by the person and the session; ids may be written with or without ``sub-``,
    ``ses-`` and leading zeros.

    Raises:
        WorkbenchError: the table does not say whose its rows are, has two rows for a scan, or no number of any.
    """
    rows = read_rows(path, delimiter="," if path.suffix.lower() == ".csv" else "\t")
    present = list(dict.fromkeys(name for row in rows for name in row))
    person, session = headers.find(present, headers.PERSON), headers.find(present, headers.SESSION)
    if "scan_id" in present:
        ours = one.scans["scan_id"].astype(str).tolist()
        theirs = [row.get("scan_id", "") for row in rows]
    elif person and session:
        who = one.scans["participant_id" if "participant_id" in one.scans else "participant"].astype(str)
        ours = [_key(*pair) for pair in zip(who, one.scans["session"].fillna("").astype(str), strict=True)]
        theirs = [_key(row.get(person, ""), row.get(session, "")) for row in rows]
    else:
        raise WorkbenchError(
            f"{path}: does not say which scan a row is of",
            cause=f"its columns are: {', '.join(present)}"[:300],
            remedy="give it a column scan_id, or participant_id and session_id",
        )
    for keys, what in ((theirs, f"{path}: two rows"), (ours, f"{one.run}: two scans")):
        if twice := sorted({key for key in keys if key and keys.count(key) > 1 and key in ours and key in theirs}):
            raise WorkbenchError(
                f"{what} are of one session: {twice[0]}",
                cause=f"{len(twice)} sessions have several",
                remedy="give the table a column scan_id, and one row for each",
            )
    place = {key: i for i, key in enumerate(theirs)}
    at = [place.get(key) for key in ours]
    found, left = [], []
    for name in present:
        if name in (person, session, "scan_id"):
            continue
        texts = pd.Series([None if i is None else rows[i].get(name) for i in at])
        numbers = pd.to_numeric(texts, errors="coerce").reset_index(drop=True)
        if numbers.notna().any():
            found.append(_column(one, "column", name, numbers, f"{path}, column '{name}'"))
        else:
            left.append(name)
    if not found:
        raise WorkbenchError(
            f"{path}: has no number of any scan of {one.run}",
            cause=f"{sum(i is not None for i in at)} of {len(at)} scans have a row in it",
            remedy="compare its ids and sessions with results/scans.parquet of the run",
        )
    notes = [f"{path.name}: {sum(i is not None for i in at)} of {len(at)} scans have a row in it"]
    return found, notes + ([f"{path.name}: no numbers in {', '.join(left)}"] if left else [])


def _column(one: Quantities, kind: str, name: str, numbers: pd.Series, what: str) -> Quantities:
    keep = np.isfinite(numbers.to_numpy(float))
    if not keep.any():
        raise WorkbenchError(f"{what} holds no numbers", remedy="choose another")
    taken = one.take(keep)
    values = numbers.to_numpy(float)[keep][:, None]
    return Quantities(one.run, kind, taken.scans, values, (name,), one.simulated, one.transductive)


def _key(person: str, session: str) -> str:
    return f"{plain_id(person)} {plain_session(session)}"
