"""Names that are meant to be the same though they are written differently: ids of people, sessions."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable

_FIRST = {"bl", "baseline", "m0"}  # ADNI's three names of the first visit


def plain_id(name: str) -> str:
    """An id without what spreadsheets and tools change: ``sub-``, leading zeros, ``.0`` at the end, case, separators.

    "sub-0050001", "50001", "50001.0" → "50001"; "sub-ADNI002S0413", "002_S_0413" stay apart.
    """
    text = re.sub(r"(?<=\d)\.0+$", "", name.strip().casefold().removeprefix("sub-"))
    text = re.sub(r"[^a-z0-9]+", "-", text).strip("-")
    return re.sub(r"\d+", lambda digits: str(int(digits[0])), text)


def plain_session(name: str) -> str:
    """A session's name in one spelling: "ses-M00", "M000", "bl" → "m0"; "ses-01", "1", "1.0" → "1"."""
    text = plain_id(name.strip().casefold().removeprefix("ses-"))
    return "m0" if text in _FIRST else text


def session_number(name: str) -> str:
    """The one number in a session's name, for "V1" against "ses-1"; "" where there is none or several."""
    numbers = re.findall(r"\d+", name)
    return str(int(numbers[0])) if len(numbers) == 1 else ""


def matched(
    wanted: Iterable[str], there: Iterable[str], *spellings: Callable[[str], str]
) -> tuple[dict[str, str], list[str]]:
    """For each name that is wanted the one of those that are there which it means.

    The same name is taken first; then, of what is left, names that agree in a spelling, where on either side only one
    has it (a name that was matched already still counts: "1" is not taken for "01" where "sub-1" is there too).

    Returns:
        wanted → there, and those of the wanted whose spelling several have.
    """
    wanted, there = list(dict.fromkeys(wanted)), list(dict.fromkeys(there))
    present = set(there)
    found = {name: name for name in wanted if name in present}
    unclear: list[str] = []
    for spelling in spellings:
        ours, theirs = _by(wanted, spelling), _by(there, spelling)
        taken = set(found.values())
        for name in wanted:
            if name in found or not (key := spelling(name)):
                continue
            candidates = theirs.get(key, [])
            if len(candidates) == 1 and len(ours[key]) == 1 and candidates[0] not in taken:
                found[name] = candidates[0]
            elif candidates and name not in unclear:
                unclear.append(name)
    return found, [name for name in unclear if name not in found]


def alike(names: Iterable[str], spelling: Callable[[str], str] = plain_id) -> list[list[str]]:
    """Groups of different names that have one spelling."""
    return [group for group in _by(dict.fromkeys(names), spelling).values() if len(group) > 1]


def few(names: Iterable[str], shown: int = 5) -> str:
    """The first of many, for a line of the report."""
    names = list(names)
    return ", ".join(names[:shown]) + (", …" if len(names) > shown else "")


def _by(names: Iterable[str], spelling: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[spelling(name)].append(name)
    return groups
