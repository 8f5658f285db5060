"""FOMO60K and its kin: `[PT001_OASIS1/]sub_1/ses_1/t1.nii.gz`, with `participants.tsv` and `mri_info.tsv`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from workbench.cohort.contrasts import contrast_of
from workbench.cohort.layouts import look
from workbench.cohort.layouts.layout import Layout, Options
from workbench.cohort.source import Candidate, Source, absolute, is_simulated, stem_of

SCAN = re.compile(r"(?P<contrast>[a-z0-9]+)(?:_(?P<number>\d+))?\.nii(\.gz)?$", re.IGNORECASE)
PERSON, SESSION = re.compile(r"sub_(\w+)$"), re.compile(r"ses_(\w+)$")
COLUMNS = ("sex", "age", "handedness", "group")
SCANNER = ("Manufacturer", "ManufacturersModelName")


def read_fomo(root: Path, dataset: str, options: Options | None = None) -> Source:
    """List the scans of a contrast; people by the data set that they came from and their number in it.

    The site is the data set a scan came from (``PT001_OASIS1``), where the folders say it: nothing finer is published.
    """
    source, simulated = Source(dataset), is_simulated(root)
    contrast = options.contrast if options else "T1w"
    people = look.by_key(_rows(root, source, "participants.tsv"), lambda row: _key(row, "participant_id", "session_id"))
    scanners = look.by_key(
        _rows(root, source, "mri_info.tsv"), lambda row: _key(row, "participant_id", "session_id", "filename")
    )
    other: list[str] = []
    for path in look.files(root, 3):
        parts = path.relative_to(root).parts[:-1]
        if len(parts) < 2 or not (PERSON.match(parts[-2]) and SESSION.match(parts[-1])) or ".nii" not in path.name:
            continue
        if not (match := SCAN.match(path.name)) or contrast_of(match["contrast"]) != contrast:
            other.append(stem_of(path))
            continue
        origin = parts[-3] if len(parts) > 2 else ""
        key = "/".join(filter(None, (origin, parts[-2], parts[-1])))
        row, _ = look.agreed(people.get(key, people.get("/".join(parts[-2:]), [])))
        values: dict[str, Any] = {name: text for name in COLUMNS if (text := look.value(row, name))}
        if origin:
            values["site"] = origin
        info, _ = look.agreed(scanners.get(f"{key}/{path.name}", []))
        if scanner := _scanner(info):
            values["scanner"] = scanner
        source.candidates.append(
            Candidate(
                dataset,
                "_".join(filter(None, (origin, parts[-2]))),
                absolute(path),
                session=parts[-1],
                entities=match["number"] or "",
                values=values,
                simulated=simulated,
            )
        )
    if other and (options is None or options.first):
        source.unused(f"scans of another contrast are not taken: {look.counted(other)}")
    if source.candidates:
        source.note(
            "its people come from public data sets under other names (mapping.tsv says which): do not test on those "
            "sets what has learnt from this one"
        )
    return source


def _rows(root: Path, source: Source, name: str) -> list[look.Row]:
    found = look.tables(root, name, below=False)
    if not found:
        source.note(f"there is no {name}, so what it says is not known")
    return [row for path in found[:1] for row in look.rows_of(path, source)]


def _key(row: look.Row, *columns: str) -> str:
    """ "PT001_OASIS1/sub_1/ses_1": how the folders spell what a row is about."""
    return "/".join(text for name in ("dataset", *columns) if (text := look.value(row, name)))


def _scanner(row: look.Row) -> str:
    parts = [text for name in SCANNER if (text := look.value(row, name))]
    strength = look.number(look.value(row, "MagneticFieldStrength"))
    return " ".join([*parts, *([f"{strength:g}T"] if strength else [])])


def _recognises(path: Path) -> bool:
    tops = [path, *look.folders(path)[:20]] if path.is_dir() else []
    people = [folder for top in tops for folder in look.folders(top)[:20] if PERSON.match(folder.name)]
    return any(SESSION.match(session.name) for folder in people for session in look.folders(folder)[:5])


LAYOUT = Layout("FOMO60K", "[PT001_OASIS1/]sub_1/ses_1/t1.nii.gz", _recognises, read_fomo, contrasts=True)
