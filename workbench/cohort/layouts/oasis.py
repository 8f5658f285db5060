"""OASIS-1 and OASIS-2 as downloaded: `OAS1_0001_MR1/PROCESSED/MPRAGE/SUBJ_111`, `OAS2_0001_MR1/RAW`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from workbench.cohort.layouts import look
from workbench.cohort.layouts.layout import Layout, Options
from workbench.cohort.source import Candidate, Source, absolute, is_simulated

SESSION = re.compile(r"(?P<person>OAS(?P<set>[12])_\d{4})_(?P<session>MR\d+)$")
# best first: the mean of a session's acquisitions at 1 mm in its own space, then the first acquisition
PLACES = (
    "PROCESSED/MPRAGE/SUBJ_111/*_anon_sbj_111",
    "RAW/*_mpr-1_anon",
    "RAW/mpr-1.nifti",
    "RAW/mpr-1",
    "RAW/*_mpr-[2-9]_anon",
)
ENDINGS = (".nii.gz", ".nii", ".img")
SCANNER = "Siemens Vision 1.5T"  # of both sets, as their fact sheets say


def read_oasis(root: Path, dataset: str, options: Options | None = None) -> Source:
    """List one T1w scan of each session; sex, age and CDR come from the spreadsheet of the set.

    ``OAS1_0001_MR1`` and ``OAS1_0001_MR2`` are two sessions of one person. The scan in Talairach space (``T88_111``)
    and single acquisitions are not taken where the mean of a session is there.
    """
    source, simulated = Source(dataset), is_simulated(root)
    sheets = [
        *look.tables(root, "oasis_cross-sectional*.csv", "oasis_cross-sectional*.xlsx"),
        *look.tables(root, "oasis_longitudinal*.csv", "oasis_longitudinal*.xlsx"),
    ]
    rows = look.by_key(
        (row for path in sheets for row in look.rows_of(path, source)), lambda r: look.value(r, "MRI ID", "ID")
    )
    for path in sheets:
        source.note(f"sex, age and CDR are from {path}")
    if not sheets:
        source.note("there is no oasis_cross-sectional.csv nor oasis_longitudinal.csv: sex and age are not known")
    unclear: dict[str, list[str]] = {}
    for folder in _sessions(root):
        match = SESSION.match(folder.name)
        assert match is not None
        scan = next((path for place in PLACES for path in _images(folder, place)), None)
        if scan is None:
            source.refuse(
                folder,
                "no scan in PROCESSED/MPRAGE/SUBJ_111 nor in RAW",
                "unpack the disc again",
                participant_id=match["person"],
            )
            continue
        row, unclear[folder.name] = look.agreed(rows.pop(folder.name, []))
        row = {name: text for name, text in row.items() if text != folder.name}
        values: dict[str, Any] = {"site": "WashU", "scanner": SCANNER, **row}
        source.candidates.append(
            Candidate(
                dataset, match["person"], absolute(scan), session=match["session"], values=values, simulated=simulated
            )
        )
    look.tell_contradicting(unclear, source)
    if rows:
        source.note(f"{len(rows)} sessions of the tables have no scan here: {look.few(rows)}")
    if any(candidate.path.suffix == ".img" for candidate in source.candidates):
        source.note("scans are in the Analyze format, whose headers do not say which side is left")
    return source


def _sessions(root: Path) -> list[Path]:
    """Folders of sessions in ``root`` or, as the discs unpack, one below."""
    here = [folder for top in (root, *look.folders(root)) for folder in look.folders(top) if SESSION.match(folder.name)]
    return sorted(dict.fromkeys(here), key=lambda folder: folder.name)


def _images(folder: Path, place: str) -> list[Path]:
    return [path for ending in ENDINGS for path in sorted(folder.glob(place + ending))]


def _recognises(path: Path) -> bool:
    return path.is_dir() and any((s / "RAW").is_dir() or (s / "PROCESSED").is_dir() for s in _sessions(path)[:20])


LAYOUT = Layout("OASIS-1, OASIS-2", "OAS1_0001_MR1/RAW and …/PROCESSED/MPRAGE/SUBJ_111", _recognises, read_oasis)
