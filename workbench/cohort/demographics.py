"""The columns every cohort has (site, scanner, sex, age), from the many ways in which data sets write them."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from typing import Any

from workbench.cohort.ages import PER_YEAR, column_unit, read_age
from workbench.cohort.headers import NAMES, find, find_known, spelt
from workbench.cohort.match import few
from workbench.cohort.missing import drop_missing
from workbench.cohort.scanner import scanner_text
from workbench.cohort.sexes import read_sexes
from workbench.cohort.source import Source
from workbench.columns import COLUMNS

# written by this or a later job; a data set's own column of that name is kept as "<name>_given"
RESERVED = {name for name, one in COLUMNS.items() if one.reserved} - set(NAMES)
TOLD_LEVELS = 20  # a column with more values than these is not looked through for spellings


def standardise(source: Source) -> None:
    """Rewrite each candidate's ``values``: site, scanner, sex ("F", "M", None), age (years or NaN), then the rest.

    ``source`` is changed in place; what could not be understood is added to its remarks. What the data set says of its
    columns (``source.described``) decides what codes and units mean. Where a data set has no column of sites, it is
    one site; where it has one, a person without a value is at no known site.
    """
    drop_missing(source)
    rows = [candidate.values for candidate in source.candidates]
    present = list(dict.fromkeys(name for row in rows for name in row))
    columns = {known: find_known(present, known) for known in NAMES}
    said = {spelt(name): text for name, text in source.described.items()}
    described = {known: source.described.get(name, said.get(spelt(name))) for known, name in columns.items()}
    sexes = read_sexes([row.get(columns["sex"], "") for row in rows], columns["sex"], described["sex"], source)
    ages = _ages([row.get(columns["age"], "") for row in rows], columns["age"], described["age"], source)
    sites = _sites([row.get(columns["site"]) for row in rows], source)
    for candidate, row, site, sex, age in zip(source.candidates, rows, sites, sexes, ages, strict=True):
        values: dict[str, Any] = {
            "site": site,
            "scanner": scanner_text(str(row.get(columns["scanner"], ""))),
            "sex": sex,
            "age": age,
        }
        if given := row.get(columns["diagnosis"]):
            values["diagnosis"] = given
        for name, value in row.items():
            if name not in columns.values():
                values[f"{name}_given" if name in RESERVED or name in values else name] = value
        candidate.values = values
    _tell_columns(present, columns, source)
    if columns["diagnosis"] not in ("", "diagnosis"):
        source.note(f"the column {columns['diagnosis']} is taken for the diagnosis")
    _tell_spellings(source)


def _sites(given: list[str | None], source: Source) -> list[str | None]:
    if not any(given) and not find(source.columns, NAMES["site"]):
        scanners = {str(c.values.get(n)) for c in source.candidates for n in c.values if spelt(n) in NAMES["scanner"]}
        if len(scanners) > 1:
            source.guess(
                f"it has no column of sites, so it counts as one site, though it names {len(scanners)} scanners; "
                "add a column site if they stand at several places"
            )
        return [source.dataset] * len(given)
    if unknown := sum(site is None for site in given):
        source.note(f"the site of {unknown} of {len(given)} scans is not known: they are left out of measures by site")
    return given


def _tell_columns(present: list[str], columns: dict[str, str], source: Source) -> None:
    """Say which of several spellings of a column counts, and where none of a table's columns is what is wanted."""
    for known, name in columns.items():
        again = [other for other in present if other != name and spelt(other) == spelt(name)] if name else []
        if others := [other for other in again if not other.startswith(f"{name} (")]:  # of those the table has told
            source.guess(f"of the columns {name}, {few(others)} the first is the {known}")
    if columns["age"] and find(present, NAMES["age"]) != columns["age"]:
        source.guess(f"{columns['age']} is taken for the age")
    if columns["site"] and not re.search("site|cent(er|re)", columns["site"], re.IGNORECASE):
        source.guess(f"{columns['site']} is taken for the site")
    lacking = [known for known in ("site", "sex", "age") if not find_known([*present, *source.columns], known)]
    others = [name for name in source.columns if name in present and name not in columns.values()]
    if lacking and others:
        source.note(
            f"no column is understood as {' or '.join(lacking)}; kept under their own names are {few(others, 8)} "
            f"(call one {lacking[0]} if it is that)"
        )


def _ages(given: list[str], column: str, described: Any, source: Source) -> list[float]:
    unit, where = column_unit(column, described)
    if where and not unit:
        source.unused(f"{column} is left out: its unit is not understood ({where})")
        return [math.nan] * len(given)
    told: dict[str, set[str]] = defaultdict(set)
    counts: dict[str, int] = defaultdict(int)
    ages = []
    for value in given:
        age, kind = read_age(value, unit or "years") if value else (math.nan, "")
        ages.append(age)
        if kind:
            told[kind].add(value)
            counts[kind] += 1
    if unit and unit != "years" and any(math.isfinite(age) for age in ages):
        text = f"{column} is in {unit} ({where}) and was divided by {PER_YEAR[unit]:g}"
        source.guess(text) if where.startswith("its ") else source.note(text)
    if told["odd"]:
        source.unused(f"ages that are not numbers are left out ({counts['odd']} scans): {_some(told['odd'])}")
    if told["impossible"]:
        source.unused(f"impossible ages are left out ({counts['impossible']} scans): {_some(told['impossible'])}")
    if told["capped"]:
        source.guess(f"ages given as a bound are read as the bound ({counts['capped']} scans): {_some(told['capped'])}")
    return ages


def _tell_spellings(source: Source) -> None:
    """Name values that differ only in case, zeros or separators: they count as different, and may not be meant so."""
    columns: dict[str, set[str]] = defaultdict(set)
    for candidate in source.candidates:
        for name, value in candidate.values.items():
            if isinstance(value, str) and len(columns[name]) <= TOLD_LEVELS:
                columns[name].add(value)
    for name, values in columns.items():
        alike: dict[str, list[str]] = defaultdict(list)
        for value in sorted(values):
            text = value.casefold().removesuffix(".0").lstrip("0")
            alike[re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", text)].append(value)
        if len(values) <= TOLD_LEVELS and (same := [v for v in alike.values() if len(v) > 1]):
            shown = "; ".join(" and ".join(map(repr, v)) for v in same[:3])
            source.guess(f"{name}: values that differ only in case, zeros or separators count as different: {shown}")


def _some(values: set[str]) -> str:
    shown = sorted(values)[:5]
    return ", ".join(map(repr, shown)) + (", …" if len(values) > 5 else "")
