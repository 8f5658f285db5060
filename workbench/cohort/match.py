"""Names that are meant to be the same though they are written differently: ids of people, sessions."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable

_FIRST = {"bl", "baseline", "m0"}  # ADNI's three names of the first visit
_PREFIX = re.compile(r"((participant|subject|subj|sub)[\W_]*(?=[^\W_]))+")
# ids of public data sets, which converters write without their separators: sub-ADNI002S0413, sub-OAS10001
_PUBLIC = (
    (re.compile(r"(?:adni-?)?(\d{3})-?s-?(\d{4,5})"), "{0}-s-{1}"),
    (re.compile(r"oas(?:is)?-?([123])-?(\d{4})"), "oas{0}-{1}"),
)


def plain_id(name: str) -> str:
    """An id without what spreadsheets and tools change: ``sub-``, leading zeros, ``.0`` at the end, case, separators,
    and how accents are stored.

    "sub-0050001", "Subject50001", "50001.0" → "50001"; "sub-ADNI002S0413", "002_S_0413" → "2-s-413".
    """
    text = re.sub(r"(?<=\d)\.0+$", "", unicodedata.normalize("NFC", name.strip().casefold()))
    if prefix := _PREFIX.match(text):
        text = text[prefix.end() :]
    text = re.sub(r"[\W_]+", "-", text).strip("-")
    for public, form in _PUBLIC:
        if found := public.fullmatch(text):
            text = form.format(*found.groups())
    return re.sub(r"\d+", lambda digits: str(int(digits[0])), text)


def id_number(name: str) -> str:
    """The number of an id that has but one, for "1" against "sub-P001"; "" for any other."""
    return session_number(plain_id(name))


def plain_session(name: str) -> str:
    """A session's name in one spelling: "ses-M00", "M000", "bl" → "m0"; "ses-01", "1", "1.0" → "1"."""
    text = plain_id(name.strip().casefold().removeprefix("ses-"))
    return "m0" if text in _FIRST else text


def session_number(name: str) -> str:
    """The one number in a session's name, for "V1" against "ses-1"; "" where there is none or several."""
    numbers = re.findall(r"\d+", name)
    return str(int(numbers[0])) if len(numbers) == 1 else ""


def session_day(name: str) -> str:
    """The digits of a session that is named after a day: "2001-02-03", "ses-20010203" → "20010203"; else ""."""
    digits = re.sub(r"\D", "", name)
    return digits if re.fullmatch(r"(19|20)\d{6}", digits) else ""


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
