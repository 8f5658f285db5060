"""Contrasts by one name, whoever wrote them: what BIDS calls T1w is T1 in IXI, t1n in BraTS and MPRAGE in nnU-Net."""

from __future__ import annotations

import re
from collections.abc import Iterable

USUAL = ("T1w",)
"""The contrasts of a scan of which nothing else is said."""
MAX_CHANNELS = 8
"""Contrasts of one scan."""
CONTRASTED = "T1c"  # T1w after a contrast agent: BIDS writes ce-NAME_T1w

# name here (BIDS' suffix where it has one) -> other spellings, in lower case, without anything but letters and digits
SPELLINGS = {
    "T1w": ("t1", "t1w", "t1n", "t1weighted", "t1wmri", "mrt1", "mrit1", "t1mri", "t1native", "mprage", "t1mprage"),
    CONTRASTED: ("t1c", "t1ce", "t1gd", "t1cgd", "t1post", "t1contrast", "t1wce", "t1wgd", "cet1w"),
    "T2w": ("t2", "t2w", "t2weighted", "mrt2", "mrit2", "t2mri"),
    "FLAIR": ("flair", "t2f", "t2flair", "flairmri", "mrflair"),
    "PDw": ("pd", "pdw", "protondensity"),
    "UNIT1": ("unit1", "mp2rage", "uni"),
    "T2starw": ("t2star", "t2starw"),
    "SWI": ("swi",),
    "angio": ("angio", "mra"),
}
_NAMES = {spelling: name for name, spellings in SPELLINGS.items() for spelling in spellings}


def contrast_of(text: str) -> str | None:
    """The name of a contrast as a data set writes it; None where it means none that is known."""
    return _NAMES.get(re.sub(r"[^a-z0-9]", "", text.lower()))


def columns_of(contrast: str) -> tuple[str, ...]:
    """Names of a table's column with the files of a contrast, as ``headers.spelt`` has them, best first."""
    names = (contrast.lower(), *SPELLINGS.get(contrast, ()))
    return tuple(column for name in names for column in (f"path_{name}", f"{name}_path", name))


def asked_for(names: Iterable[str]) -> tuple[str, ...]:
    """Contrasts as a user asks for them, by their names here; another suffix of BIDS stays as it is.

    Raises:
        ValueError: none or too many, one twice, or a word that can be no suffix.
    """
    given = list(names)
    found = tuple(contrast_of(name) or name for name in given)
    unclean = [name for name in given if not re.fullmatch(r"[A-Za-z0-9 _-]+", name)]
    if bad := unclean + [name for name in found if not re.fullmatch(r"[A-Za-z0-9]+", name)]:
        raise ValueError(f"contrast {bad[0]!r} is not a name such as {', '.join(list(SPELLINGS)[:5])}")
    if not 1 <= len(found) <= MAX_CHANNELS:
        raise ValueError(f"contrast: give one to {MAX_CHANNELS}")
    if twice := [name for name in found if found.count(name) > 1]:
        raise ValueError(f"contrast {twice[0]} is given twice")
    return found
