"""Ages in years, from the many ways in which data sets write them."""

from __future__ import annotations

import math
import re
from typing import Any

from workbench.cohort import headers

OLDEST = 120.0
PER_YEAR = {"years": 1.0, "months": 12.0, "weeks": 52.1775, "days": 365.25}

_UNITS = {
    "years": r"y|yr|yrs|years?|annum|a",
    "months": r"m|mo|mos|mth|mths|months?",
    "weeks": r"w|wk|wks|weeks?",
    "days": r"d|days?",
}
_AGE = re.compile(
    r"(?P<capped>[<>=≥≤\s]*)(?P<number>\d+(?:\.\d+|,\d+(?<!,\d{3}))?)\s*(?P<plus>\+?)\s*(?P<unit>[a-z]*)", re.IGNORECASE
)
_DURATION = re.compile(r"P(?P<number>\d+(?:[.,]\d+)?)(?P<unit>[YMWD])")  # ISO 8601


def unit_of(text: str) -> str:
    """ "Months", "mo", "year(s)", "days (rounded)" → the key of ``PER_YEAR``; "" where it names none, or several."""
    word = re.sub(r"\(s\)$", "", text.strip().lower()).strip(" .")
    if unit := next((unit for unit, fits in _UNITS.items() if re.fullmatch(fits, word)), ""):
        return unit
    named = set(re.findall(r"(?<![a-z-])(year|month|week|day)s?(?![a-z])", word))
    return f"{named.pop()}s" if len(named) == 1 else ""


def column_unit(name: str, described: Any) -> tuple[str, str]:
    """The unit of a column of ages, and where it is said: its ``Units``, its name, or its description; ("", "")."""
    described = described if isinstance(described, dict) else {}
    given = described.get("Units")
    if isinstance(given, str) and given.strip():
        return unit_of(given), f"Units: {given.strip()}"
    given = headers.described(name).get("Units", "")  # "Age (mo)", but also "Age (first visit)"
    if given and (unit := unit_of(given)):
        return unit, f"Units: {given}"
    words = headers.spelt(name)
    ends = re.search(r"(months?|mths?|mos|weeks?|wks?|days?)$", words)  # AgeMonths
    within = [unit for word in words.split("_") if len(word) > 1 and (unit := unit_of(word))]
    unit = unit_of(words.split("_")[-1]) or (unit_of(ends[1]) if ends else "") or (within[0] if within else "")
    if unit and unit != "years":
        return unit, f"its name, {name}"
    if words == "interview_age":  # of NIMH's data archive, which defines it so
        return "months", f"its name, {name}"
    for key in ("Description", "LongName"):
        text = str(described.get(key, "")).lower()
        for said in (
            r"(?:\bin|\(|\[)\s*(years|months|weeks|days)\b",
            r"\bto (?:the nearest )?(year|month|week|day)s?\b",
        ):
            if found := re.search(said, text):
                return unit_of(found[1]), f"its {key}"
    return "", ""


def read_age(text: str, unit: str = "years") -> tuple[float, str]:
    """Years, and how well that is known: "" (said), "capped" ("89+"), "impossible" (0, 150) or "odd" (no age at all).

    A unit within the value ("034Y", "018M" as DICOM writes it, "6 months", ISO 8601's "P18M") wins over the column's.
    The number is NaN for the last two.
    """
    found = _AGE.fullmatch(text.strip()) or _DURATION.fullmatch(text.strip())
    if not found:
        return math.nan, "odd"
    own = unit_of(found["unit"]) if found["unit"] else unit
    if not own:
        return math.nan, "odd"
    years = float(found["number"].replace(",", ".")) / PER_YEAR[own]
    # a newborn is 0 days or 0.0 months old; a 0 among years is nobody's age
    if years > OLDEST or (years == 0 and own == "years"):
        return math.nan, "impossible"
    groups = found.groupdict()
    return years, "capped" if groups.get("plus") or (groups.get("capped") or "").strip() else ""
