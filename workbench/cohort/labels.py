"""Names of label codes: the BIDS lookup table, and one spelling for a structure whatever a data set calls it."""

from __future__ import annotations

import re
from pathlib import Path

from workbench.cohort.headers import find, spelt
from workbench.cohort.source import read_rows, whole
from workbench.errors import WorkbenchError

_SIDES = {"left": "left", "right": "right", "lh": "left", "rh": "right", "l": "left", "r": "right"}
_LONG = {
    "inf": "inferior",
    "sup": "superior",
    "lat": "lateral",
    "vent": "ventricle",
    "brainstem": "brain_stem",
    "wm": "white_matter",
    "gm": "gray_matter",
}
HIPPOCAMPI = {"left_hippocampus", "right_hippocampus"}  # what is asked for first, where a choice must be made
_SIDE = re.compile(
    r"(?P<before>(?i:left|right)|(?:lh|rh|LH|RH)(?![a-z])|[LR](?=[A-Z]|$)|[LRlr](?=[-_. ]|$))[-_. ]?(?P<rest>.*)"
    r"|(?P<rest2>.*?)[-_. ]?(?P<after>(?i:left|right)|(?<=[-_. ])(?i:lh|rh)|(?<=[a-z0-9])[LR]|(?<=[-_. ])[LRlr])"
)
_NOISE = {"proper", "area", "of", "the"}  # "Thalamus Proper" and "Thalamus" are one structure

# Neuromorphometrics: "Right AnG   angular gyrus", "Right OpIFG opercular part of …". The abbreviation is known by
# the two spaces after it, or by its mixed case before small words; it says no more than the words do
_ABBREVIATION = re.compile(
    r"^((?:left |right )?)(?!(?i:left|right)\b)"
    r"(?-i:[A-Z]\w*\s{2,}|[A-Z]\w*[a-z]\w*[A-Z]\w*\s+(?=[a-z]+ [a-z]))(?-i:(?=[a-z]))",
    re.IGNORECASE,
)


def canonical_structure(name: str) -> str:
    """One spelling for a structure: lower case, words joined by ``_``, the side in front.

    "Right Hippocampus", "Hippocampus_R", "right hippocampus", "Right-Hippocampus", "rh_hippocampus" all give
    ``right_hippocampus``; "ctx-lh-insula" gives ``left_ctx_insula``. A name without a side keeps none.
    """
    text = _ABBREVIATION.sub(r"\1", name.strip())
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)  # AccumbensArea, 3rdVentricle
    words = [word for word in re.split(r"[^A-Za-z0-9]+", text.lower()) if word]
    side, ends = "", (0, len(words) - 1)
    for place in dict.fromkeys((*ends, *range(len(words)))):
        # a lone "l" or "r" is a side only at either end; "lh" and "left" anywhere
        if len(words) > 1 and words[place] in _SIDES and (len(words[place]) > 1 or place in ends):
            side = _SIDES[words.pop(place)]
            break
    words = [_LONG.get(word, word) for i, word in enumerate(words) if i == 0 or word not in _NOISE]
    return "_".join(([side] if side else []) + words)


def side_and_name(text: str) -> tuple[str, str]:
    """The side in the name of one structure, and the rest: "hippocampusL", "L-hippocampus", "LeftHippocampus",
    "lh" → ("left", "hippocampus") or ("left", ""); a name without a side comes back with ""."""
    found = _SIDE.fullmatch(text.strip())
    if not found:
        return "", text.strip()
    side = (found["before"] or found["after"]).lower()[0]
    return {"l": "left", "r": "right"}[side], (found["rest"] or found["rest2"] or "").strip("-_ ")


def read_label_table(path: Path) -> list[tuple[int, str]]:
    """(code, name) of every row of a BIDS ``dseg.tsv`` (columns ``index`` and ``name``, or what other programs call
    them: ``label``, ``id``, FreeSurfer's ``#No.`` and ``LabelName:``; without names their abbreviations).

    Raises:
        WorkbenchError: not readable, the columns are missing, a code is not a whole number or stands twice.
    """
    rows = [{spelt(key): value for key, value in row.items()} for row in read_rows(path)]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    index = find(columns, ("index", "no", "id", "code", "value", "label_id", "label"))
    name = find(columns, ("name", "labelname", "label_name", "structure", "region", "roi", "abbreviation", "label"))
    if not index or not name or index == name:
        raise WorkbenchError(
            f"{path}: not a label table",
            cause=f"it has only: {', '.join(columns) or 'none'}",
            remedy="it needs the columns index and name, separated by tabs (BIDS dseg.tsv)",
        )
    rows = [{"index": row[index], "name": row[name]} if index in row and name in row else row for row in rows]
    labels: dict[int, str] = {}
    for row in rows:
        if not row:
            continue
        if "index" not in row or "name" not in row:
            raise WorkbenchError(
                f"{path}: not a label table",
                cause=f"a row has only: {', '.join(row) or 'nothing'}",
                remedy="it needs the columns index and name, separated by tabs (BIDS dseg.tsv)",
            )
        code = whole(row["index"])
        if code is None:
            raise WorkbenchError(
                f"{path}: not a label table",
                cause=f"index {row['index'][:60]!r} is not a whole number",
                remedy="write the label code as a whole number",
            )
        if labels.get(code, row["name"]) != row["name"]:
            raise WorkbenchError(
                f"{path}: not a label table",
                remedy="give each code one name",
                cause=f"code {code} is both {labels[code]!r} and {row['name']!r}",
            )
        labels[code] = row["name"]
    return list(labels.items())
