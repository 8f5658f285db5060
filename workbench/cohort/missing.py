"""What stands for "not known" in the tables of data sets: words, codes, and what a data set itself says."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import Any

from workbench.cohort.headers import spelt
from workbench.cohort.source import Source

WORDS = {
    "none", "null", "nil", "#n/a", "#na", "#null!", "<na>", "nat", "-", "--", ".", "?", "unknown", "unk", "missing",
    "not available", "not applicable", "not reported", "not recorded", "not known", "no data", "undefined",
}  # fmt: skip
"""Compared in lower case. ``""``, ``n/a``, ``na`` and ``nan`` are BIDS' own and need no word in the report."""

CODES = {-9, -99, -999, -9999, -99999, -777, -888, -7777, -8888}
"""Missing wherever no other number of the column is negative."""
SMALL_CODES = {-1, -4, -8}
"""Missing only where every other number of the column is larger than the code without its sign (ADNI's −4 of an IQ)."""
LARGE_CODES = {999, 9999, 99999}
"""Missing only where every other number of the column is below a third of them."""

_MEANING = re.compile(
    r"(missing|unknown|not (available|applicable|reported|recorded|known|collected|done)|n/?a|no data|refused)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?")


def levels_of(described: Any) -> dict[str, str]:
    """Code → meaning from a column's ``Levels``, in the forms that data sets write: a text or an object with
    ``Description`` a code, codes and meanings turned round, or a list of "1: male"."""
    levels = described.get("Levels") if isinstance(described, dict) else None
    if isinstance(levels, list):
        pairs = [re.match(r"\s*([^:=]+?)\s*[:=]\s*(.+)", str(item)) for item in levels]
        return {pair[1]: pair[2].strip() for pair in pairs if pair}
    if not isinstance(levels, dict):
        return {}
    found = {}
    for code, meaning in levels.items():
        if isinstance(meaning, dict):
            keys = ("Description", "description", "LongName", "Name", "name", "Label", "label")
            meaning = next((meaning[key] for key in keys if meaning.get(key)), "")
        found[str(code).strip()] = str(meaning).strip()
    return found


def number(text: str) -> float | None:
    """A number with a point or a decimal comma; None for anything else."""
    if not _NUMBER.fullmatch(text):
        return None
    return float(text.replace(",", "."))


def drop_missing(source: Source) -> None:
    """Take values that mean "not known" out of the candidates' columns, and say how many of which in which column."""
    columns: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for candidate in source.candidates:
        for name, value in candidate.values.items():
            if isinstance(value, str):
                columns[name].append(candidate.values)
    said = {spelt(name): text for name, text in source.described.items()}
    for name, rows in columns.items():
        values = Counter(row[name] for row in rows)
        levels = levels_of(source.described.get(name, said.get(spelt(name))))
        dropped = {value for value in values if _is_missing(value, levels)}
        dropped |= _codes(set(values) - dropped, levels)
        for row in rows:
            if row[name] in dropped:
                del row[name]
        if dropped:
            told = ", ".join(f"{value!r} ({values[value]})" for value in sorted(dropped)[:6])
            source.guess(f"{name}: read as not known: {told}")
        _decimal_commas(name, [row for row in rows if name in row], source)


def _is_missing(value: str, levels: dict[str, str]) -> bool:
    if value in levels:
        return bool(_MEANING.match(levels[value]))
    return value.strip().lower() in WORDS


def _codes(values: set[str], levels: dict[str, str]) -> set[str]:
    """Those of a column's values that are codes for "not known" and not named as anything else by the data set."""
    numbers = {value: n for value in values if (n := number(value)) is not None and value not in levels}
    suspects = {v for v, n in numbers.items() if n in CODES | SMALL_CODES | LARGE_CODES}
    others = [n for v, n in numbers.items() if v not in suspects] + [
        n for v in values if v in levels and (n := number(v)) is not None
    ]
    if len(numbers) < len(values):  # a column of words: a code among them is none of the words
        return {v for v in suspects if numbers[v] in CODES}
    if not others:
        return {v for v in suspects if numbers[v] in CODES}
    least, most = min(others), max(others)
    found = {v for v in suspects if numbers[v] in CODES and least >= 0}
    found |= {v for v in suspects if numbers[v] in SMALL_CODES and least > -numbers[v]}
    return found | {v for v in suspects if numbers[v] in LARGE_CODES and most < numbers[v] / 3}


def _decimal_commas(name: str, rows: list[dict[str, Any]], source: Source) -> None:
    """ "22,5" is a number where every value of the column is one so written."""
    values = [row[name] for row in rows]
    commas = [value for value in values if "," in value]
    if commas and all(number(value) is not None and "." not in value for value in values):
        for row in rows:
            row[name] = row[name].replace(",", ".")
        source.guess(f"{name}: a comma is read as the decimal point, for example {commas[0]!r}")
