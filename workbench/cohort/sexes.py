"""Sex as "F" or "M", from words, and from codes whose meaning is said."""

from __future__ import annotations

import re
from typing import Any

from workbench.cohort import headers
from workbench.cohort.missing import levels_of
from workbench.cohort.source import Source

FEMALE = {
    "f", "female", "females", "woman", "women", "girl", "w", "weiblich", "frau", "femme", "feminin", "mujer",
    "femenino",
}  # fmt: skip
MALE = {
    "m", "male", "males", "man", "men", "boy", "maennlich", "männlich", "mann", "homme", "masculin", "hombre",
    "masculino",
}  # fmt: skip


def read_sexes(given: list[str], column: str, described: Any, source: Source) -> list[str | None]:
    """ "F", "M" or None for each value of a column; what was concluded or not understood is told to ``source``.

    Codes mean what ``Levels``, the column's name ("SEX_ID (1=m, 2=f)") or its description say. Without that, 1 and 2
    are read as ISO/IEC 5218 does (1 = male) where **both** occur and nothing else: one of them alone could as well be
    half of a coding with 0 and 1, which data sets use both ways.
    """
    used = {value for value in given if value}
    meaning = _codes(column, described)
    if not meaning and {_plain(value) for value in used} == {"1", "2"}:
        meaning = {"1": "male", "2": "female"}
        source.guess(
            "sex is coded 1 and 2: read as 1 = male, 2 = female (ISO/IEC 5218); "
            "state Levels in participants.json if that is wrong"
        )
    # a code that speaks for itself does; else what the data set says of it ("female: as reported")
    sexes = {value: sex_of(value) or sex_of(meaning.get(_plain(value), "")) for value in used}
    turned = {
        value for value in used if sex_of(value) and sex_of(meaning.get(_plain(value), "")) not in (None, sexes[value])
    }
    if turned:  # {"F": "Male"}: one of the two is wrong, and nothing says which
        source.unused(
            f"sex is left out where its value and its Levels say opposite things: {', '.join(sorted(turned))}"
        )
        sexes |= dict.fromkeys(turned)
        used -= turned
    if unknown := {value for value in used if sexes[value] is None}:
        shown = ", ".join(map(repr, sorted(unknown)[:5])) + (", …" if len(unknown) > 5 else "")
        n = sum(value in unknown for value in given)
        remedy = "; state Levels in participants.json" if all(value[:1].isdigit() for value in unknown) else ""
        source.unused(f"values of sex that are not understood are left out ({n} scans): {shown}{remedy}")
    return [sexes.get(value) for value in given]


def sex_of(text: str) -> str | None:
    """ "F" or "M" of a word or of a text that begins with one; None for anything else ("M/F", say)."""
    first, *others = re.split(r"[^a-zä]", text.strip().lower())
    if (first in FEMALE and MALE & set(others[:1])) or (first in MALE and FEMALE & set(others[:1])):
        return None
    return "F" if first in FEMALE else "M" if first in MALE else None


def _plain(value: str) -> str:
    return re.sub(r"\.0+$", "", value.strip())


def _codes(column: str, described: Any) -> dict[str, str]:
    """Code → meaning, also where a data set wrote them the other way round ({"male": 1})."""
    levels = levels_of(described) or levels_of(headers.described(column))
    if not levels and isinstance(described, dict):
        text = " ".join(str(described.get(key, "")) for key in ("Description", "LongName"))
        levels = {
            code: word for code, word in re.findall(r"(\w+)\s*[=:]\s*(\w+)", text) if sex_of(word) or sex_of(code)
        }
    return {
        _plain(meaning if turned else code): code if turned else meaning
        for code, meaning in levels.items()
        for turned in [sex_of(code) is not None and sex_of(meaning) is None]
    }
