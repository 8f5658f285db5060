"""When each scan was made, in years; which group a person is of, where a label may change between sessions."""

from __future__ import annotations

import re
from datetime import date

import numpy as np
import pandas as pd

from workbench.cohort.match import few
from workbench.columns import at_known_site
from workbench.errors import WorkbenchError

DATES = ("acq_time", "acquisition_date", "scan_date", "examdate", "date", "session")
DAYS_A_YEAR = 365.25
NEAR = 1e-3  # years: scans of one day
ARROW = " → "
EVERYBODY = ""


def with_years(scans: pd.DataFrame, column: str, where: str) -> tuple[pd.DataFrame, list[str]]:
    """The scans of people who were scanned at two times or more, with ``years`` since each one's first, ``first_age``
    (NaN where ages are not known), and what must be said.

    Args:
        scans: ``scan_id``, ``participant`` and the cohort's columns.
        column: Of years (age) or of dates; empty takes age where it differs between the sessions of people, else the
            first column of dates.

    Raises:
        WorkbenchError: no such column, or it tells two times of fewer than three people.
    """
    if column and column not in scans:
        raise WorkbenchError(
            f"{where}: its scans have no column '{column}'",
            cause=f"they have: {', '.join(map(str, scans.columns))}"[:300],
            remedy="choose another --time",
        )
    tried = [column] if column else [name for name in ("age", *DATES) if name in scans]
    counts = {name: _people_with_times(scans, times_of(scans[name])) for name in tried}
    chosen = next((name for name in tried if counts[name] >= 3), "")
    if not chosen:
        there = ", ".join(f"{name} {n}" for name, n in counts.items()) or "none of age, " + ", ".join(DATES)
        raise WorkbenchError(
            f"{where}: people who were scanned at several times are too few",
            cause=f"people with two times or more, by column: {there}; three are needed",
            remedy="give each session its own age (BIDS: sub-*_sessions.tsv) or name the column of dates by --time "
            "(on simulated people: `workbench simulate --followups 2`)",
        )
    at = times_of(scans[chosen])
    notes = [f"{where}: years are told by {chosen}"]
    if (missing := int(at.isna().sum())) > 0:
        notes.append(f"{where}: {missing} scans are left out, their {chosen} tells no time")
    known = scans.assign(time=at)[at.notna()].reset_index(drop=True)
    first = known.groupby("participant")["time"].transform("min")
    last = known.groupby("participant")["time"].transform("max")
    followed = known[last - first > NEAR].reset_index(drop=True)
    if once := known["participant"].nunique() - followed["participant"].nunique():
        notes.append(f"{where}: {once} people who were scanned at one time alone tell of no change")
    if chosen == "age" and (followed["time"] % 1 == 0).all():
        notes.append(f"{where}: ages are whole years, so that the time between two scans may be off by one")
    followed["years"] = followed["time"] - followed.groupby("participant")["time"].transform("min")
    ages = times_of(followed["age"]) if "age" in followed else pd.Series(np.nan, followed.index)
    followed["first_age"] = (ages - followed["years"]).groupby(followed["participant"]).transform("mean")
    if chosen != "age":  # one age for all sessions is that of the first
        same = ages.groupby(followed["participant"]).transform("nunique") == 1
        followed["first_age"] = followed["first_age"].where(~same, ages)
    return followed, notes + _scanners(followed, where)


def times_of(column: pd.Series) -> pd.Series:
    """Years of a column of numbers (years), dates, days (OASIS-3's d0129) or months (m06; bl is 0); NaN elsewhere."""
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    return column.map(_years, na_action="ignore").astype(float)


def _years(value: object) -> float:
    text = str(value).strip().lower().removeprefix("ses-")
    if found := re.fullmatch(r"(\d{4})[-_]?(\d{2})[-_]?(\d{2})(?:[t ].*)?", text):
        try:
            return date(*map(int, found.groups())).toordinal() / DAYS_A_YEAR
        except ValueError:
            return np.nan
    if found := re.fullmatch(r"d(\d+)", text):
        return int(found[1]) / DAYS_A_YEAR
    if found := re.fullmatch(r"m(\d+)", text):
        return int(found[1]) / 12
    return 0.0 if text in ("bl", "baseline") else np.nan


def _people_with_times(scans: pd.DataFrame, at: pd.Series) -> int:
    by = at.groupby(scans["participant"])
    return int((by.max() - by.min() > NEAR).sum())


def _scanners(scans: pd.DataFrame, where: str) -> list[str]:
    """Of whom a change may be the scanner's."""
    for name in ("scanner", "site"):
        if name in scans:
            known = scans[at_known_site(scans, name)]
            moved = int((known.groupby("participant")[name].nunique() > 1).sum())
            if moved:
                return [f"{where}: {moved} people changed the {name} between sessions, which is part of their change"]
    return []


def with_groups(scans: pd.DataFrame, column: str, where: str) -> tuple[pd.DataFrame, list[str]]:
    """With a column ``group``: the person's level of ``column``; of somebody in whom it changes the levels in their
    order ("CN → AD", a conversion). "" where there is no such column, or it is not known."""
    if not column or column not in scans:
        said = [f"{where}: no groups, its scans have no column '{column}'"] if column else []
        return scans.assign(group=EVERYBODY), said
    courses, told = {}, []
    for person, mine in scans.sort_values("years", kind="stable").groupby("participant", sort=True):
        known = mine[at_known_site(mine, column)]
        levels = known[column].astype(str).tolist()
        steps = [i for i, level in enumerate(levels) if i == 0 or level != levels[i - 1]]
        courses[person] = ARROW.join(levels[i] for i in steps)
        if len(steps) > 1:
            told.append(f"{person} ({courses[person]}, after {known['years'].iloc[steps[1]]:.1f} years)")
    notes = [f"{where}: {column} changes in {len(told)} people: {few(told, 20)}"] if told else []
    if unknown := sum(not course for course in courses.values()):
        notes.append(f"{where}: the {column} of {unknown} people is not known; they are in no group")
    return scans.assign(group=scans["participant"].map(courses)), notes
