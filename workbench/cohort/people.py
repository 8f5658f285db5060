"""The columns every cohort has (site, scanner, sex, age), from the many ways in which data sets write them."""

from __future__ import annotations

import math
import re
from typing import Any

from workbench.cohort.headers import NAMES, described, find, spelt
from workbench.cohort.source import Source
from workbench.columns import COLUMNS

FEMALE, MALE = {"f", "female", "woman", "girl"}, {"m", "male", "man", "boy"}

# written by this or a later job; a data set's own column of that name is kept as "<name>_given"
RESERVED = {name for name, one in COLUMNS.items() if one.reserved} - set(NAMES)


def standardise(source: Source) -> None:
    """Rewrite each candidate's ``values``: site, scanner, sex ("F", "M", None), age (years or NaN), then the rest.

    ``source`` is changed in place; what could not be understood is added to its notes. What the data set says of its
    columns (``source.described``) decides what codes mean.
    """
    rows = [candidate.values for candidate in source.candidates]
    present = list(dict.fromkeys(name for row in rows for name in row))
    columns = {known: find(present, names) for known, names in NAMES.items()}
    said: Any = next((source.described[n] for n in source.described if spelt(n) in NAMES["sex"]), None)
    levels = (said if isinstance(said, dict) else described(columns["sex"])).get("Levels")
    sexes = _sexes([row.get(columns["sex"], "") for row in rows], levels or {}, source)
    odd_ages = set()
    for candidate, row, sex in zip(source.candidates, rows, sexes, strict=True):
        age = read_age(given := row.get(columns["age"], ""))
        if given and math.isnan(age):
            odd_ages.add(given)
        values: dict[str, Any] = {
            "site": row.get(columns["site"], source.dataset),
            "scanner": row.get(columns["scanner"], ""),
            "sex": sex,
            "age": age,
        }
        if given := row.get(columns["diagnosis"]):
            values["diagnosis"] = given
        for name, value in row.items():
            if name not in columns.values():
                values[f"{name}_given" if name in RESERVED or name in values else name] = value
        candidate.values = values
    if columns["diagnosis"] not in ("", "diagnosis"):
        source.note(f"the column {columns['diagnosis']} is taken for the diagnosis")
    if odd_ages:
        source.note(f"ages that are not numbers are left out: {_some(odd_ages)}")


def _sexes(given: list[str], levels: dict[str, str], source: Source) -> list[str | None]:
    used = {value for value in given if value}
    codes = {code: str(meaning) for code, meaning in levels.items()}
    if not codes and used and used <= {"1", "2", "1.0", "2.0"}:
        # ISO/IEC 5218. A column with 0 and 1 is left alone: data sets use it both ways
        codes = {"1": "male", "2": "female", "1.0": "male", "2.0": "female"}
        source.note(
            "sex is coded 1 and 2: read as 1 = male, 2 = female (ISO/IEC 5218); "
            "state Levels in participants.json if that is wrong"
        )
    # a code that speaks for itself does; else what participants.json says of it ("female: as reported")
    sexes = {value: _sex(value) or _sex(codes.get(value, "")) for value in used}
    if unknown := {value for value, sex in sexes.items() if sex is None}:
        source.note(f"values of sex that are not understood are left out: {_some(unknown)}")
    return [sexes.get(value) for value in given]


def _sex(text: str) -> str | None:
    word = re.split(r"[^a-z]", text.strip().lower())[0]
    return "F" if word in FEMALE else "M" if word in MALE else None


def read_age(text: str) -> float:
    """Years from "34", "34.5", "034Y" (DICOM) or "89+" (capped for privacy); NaN for anything else."""
    found = re.fullmatch(r"[<>=\s]*(\d+(?:[.,]\d+)?)\s*(?:\+|y|yr|yrs|years?)?", text.strip(), re.IGNORECASE)
    return float(found[1].replace(",", ".")) if found else math.nan


def _some(values: set[str]) -> str:
    shown = sorted(values)[:5]
    return ", ".join(map(repr, shown)) + (", …" if len(values) > 5 else "")
