"""What every kind of source is turned into before any scan is opened, and the helpers its readers share."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.cohort.sheets import is_sheet, read_sheet
from workbench.errors import WorkbenchError

MISSING = {"", "n/a", "na", "nan"}
IMAGE_ENDINGS = (".nii.gz", ".nii")


@dataclass
class Candidate:
    """A scan as its source lists it; nothing about it has been checked yet."""

    dataset: str
    participant_id: str
    path: Path
    session: str = ""
    entities: str = ""  # what tells it from other scans of the same person and session, e.g. "acq-native"
    seg_path: Path | None = None
    mask_path: Path | None = None
    values: dict[str, Any] = field(default_factory=dict)  # further columns as written; missing ones left out
    simulated: bool = False


@dataclass
class Source:
    """One data set: its candidates, its label names, what was refused already, and remarks for the report."""

    dataset: str
    candidates: list[Candidate] = field(default_factory=list)
    labels: list[tuple[int, str]] = field(default_factory=list)
    set_aside: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    described: dict[str, Any] = field(default_factory=dict)  # of its columns, as in BIDS' participants.json

    def refuse(
        self, path: Path | str, cause: str, remedy: str, *, participant_id: str = "", kind: str = "scan"
    ) -> None:
        person = f"{self.dataset}/{participant_id}" if participant_id else ""
        self.set_aside.append(
            {
                "path": str(path),
                "dataset": self.dataset,
                "participant": person,
                "kind": kind,
                "cause": cause,
                "remedy": remedy,
            }
        )

    def note(self, text: str) -> None:
        self.notes.append(f"{self.dataset}: {text}")


def absolute(path: Path) -> Path:
    """The absolute path with links left as they are: in a DataLad data set a link's target has no readable name."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def stem_of(path: Path | str) -> str:
    """The file's name without ``.nii`` or ``.nii.gz``."""
    name = Path(path).name
    return next((name.removesuffix(end) for end in IMAGE_ENDINGS if name.endswith(end)), Path(name).stem)


def entities_of(path: Path) -> dict[str, str]:
    """BIDS entities of a file name: ``sub-01_ses-1_acq-x_T1w.nii.gz`` → ``{"sub": "01", "ses": "1", "acq": "x"}``."""
    pairs = (part.split("-", 1) for part in stem_of(path).split("_") if "-" in part)
    return {key: value for key, value in pairs}


def plain(text: str) -> str:
    """``text`` in the characters a scan id may have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "x"


def read_rows(path: Path, *, delimiter: str = "\t") -> list[dict[str, str]]:
    """Rows of a spreadsheet or a delimited text file with a header, as written, missing values left out.

    Raises:
        WorkbenchError: not readable, not text, or without a header.
    """
    if is_sheet(path):
        header, cells = read_sheet(path)
        return _present(dict(zip(header, row, strict=False)) for row in cells)
    try:
        content = path.read_bytes()
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("latin-1")  # what spreadsheets of an older age wrote
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        rows = list(reader)
    except (OSError, csv.Error) as error:
        raise WorkbenchError(
            f"{path}: cannot be read as a table",
            cause=str(error).splitlines()[0],
            remedy="save it as plain text with a header line",
        ) from error
    if not reader.fieldnames:
        raise WorkbenchError(f"{path}: cannot be read as a table", cause="it is empty", remedy="add a header line")
    return _present(rows)


def _present(rows: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    return [
        {
            key.strip(): value.strip()
            for key, value in row.items()
            if isinstance(key, str) and isinstance(value, str) and value.strip().lower() not in MISSING
        }
        for row in rows
    ]


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, or ``{}`` where there is none; what is optional must not stop a cohort."""
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def is_simulated(folder: Path) -> bool:
    """Whether the data set's own description says that its scans are simulated."""
    description = read_json(folder / "dataset_description.json")
    made_by = description.get("GeneratedBy")
    names = (
        [str(step.get("Name", "")) for step in made_by if isinstance(step, dict)] if isinstance(made_by, list) else []
    )
    return description.get("Simulated") is True or any("workbench simulate" in name for name in names)
