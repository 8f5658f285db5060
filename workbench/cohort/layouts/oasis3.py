"""OASIS-3 as its scripts download it: `OAS30001_MR_d0129/anat2/[NIFTI/]sub-OAS30001_ses-d0129_run-01_T1w.nii.gz`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from workbench.cohort.layouts import look
from workbench.cohort.layouts.layout import Layout, Options
from workbench.cohort.source import Candidate, Source, absolute, entities_of, is_simulated, read_json, stem_of

SESSION = re.compile(r"(?P<person>OAS3\d{4})_MR_(?P<session>d(?P<days>\d+))$")
SCAN = re.compile(r"sub-OAS3\d{4}_ses{1,2}-d\d+.*_T1w\.nii(\.gz)?$")  # older downloads write "sess-"
NEAR = 365  # days between a clinical visit and the scan
CLINICAL = ("MMSE", "CDRTOT", "CDRSUM", "dx1")


def read_oasis3(root: Path, dataset: str, options: Options | None = None) -> Source:
    """List the T1w scans of an OASIS-3 download.

    A session is the days since a person entered (``d0129``). The age is that at entry and these days;
    ``OASIS3_demographics.csv`` has age at entry and sex, ``OASIS3_UDSb4_cdr.csv`` CDR and diagnosis at the visit
    nearest to the scan, within a year. The scanner comes from the scan's ``.json``.
    """
    source, simulated = Source(dataset), is_simulated(root)
    people = look.by_key(_rows(root, source, "OASIS3_demographics*.csv"), _person)
    visits = look.by_key(_rows(root, source, "OASIS3_UDSb4_cdr*.csv"), _person)
    matched = 0
    unclear: dict[str, list[str]] = {}
    for folder in _sessions(root):
        session = SESSION.match(folder.name)
        assert session is not None
        person, days = session["person"], int(session["days"])
        row, unclear[person] = look.agreed(people.get(person, []))
        shared: dict[str, Any] = {"site": "WashU"}
        shared["sex"] = {"1": "male", "2": "female"}.get(look.value(row, "GENDER").removesuffix(".0"), "")
        if (entry := look.number(look.value(row, "AgeatEntry"))) is not None:
            shared["age"] = f"{entry + days / 365.25:.1f}"
        if (visit := _nearest(visits.get(person, []), days)) is not None:
            matched += 1
            shared |= {name: look.value(visit, name) for name in CLINICAL}
        for path in look.files(folder, 3):
            if not SCAN.match(path.name):
                continue
            pairs = entities_of(path)
            if pairs.get("sub") != person:
                source.refuse(
                    path,
                    f"the name says {pairs.get('sub')}, its folder {person}",
                    "rename the file or move it",
                    participant_id=person,
                )
                continue
            own = "_".join(f"{k}-{v}" for k, v in pairs.items() if k not in ("sub", "ses", "sess"))
            values = {**shared, **_scanner(path)}
            source.candidates.append(
                Candidate(
                    dataset,
                    person,
                    absolute(path),
                    session=session["session"],
                    entities=own,
                    values={name: text for name, text in values.items() if text != ""},
                    simulated=simulated,
                )
            )
    look.tell_contradicting(unclear, source)
    if visits:
        source.note(f"{matched} sessions have a clinical visit within {NEAR} days, whose CDR and diagnosis are taken")
    return source


def _nearest(rows: list[look.Row], days: int) -> look.Row | None:
    dated = [
        (abs(at - days), i, row)
        for i, row in enumerate(rows)
        if (at := look.number(look.value(row, "days_to_visit"))) is not None
    ]
    apart, _, row = min(dated, default=(NEAR + 1, 0, {}))
    return row if apart <= NEAR else None


def _rows(root: Path, source: Source, name: str) -> list[look.Row]:
    """From a table in or beside ``root``, or deep in ``OASIS3_data_files`` as XNAT unpacks it."""
    found = look.tables(root, name)
    if not found:
        packed = [p / "OASIS3_data_files" for p in (root, root.parent) if (p / "OASIS3_data_files").is_dir()]
        fits = re.compile(re.escape(name).replace(r"\*", ".*"), re.IGNORECASE)
        found = [path for folder in packed[:1] for path in look.files(folder, 8) if fits.fullmatch(path.name)]
    if not found:
        source.note(f"there is no {name}, so what it says is not known")
        return []
    source.note(f"columns are from {found[0]}")
    return look.rows_of(found[0], source)


def _person(row: look.Row) -> str:
    return look.value(row, "OASISID", "Subject")


def _scanner(path: Path) -> dict[str, str]:
    """Maker, model and field from the sidecar, which lies beside the scan or in ``../BIDS``."""
    name = f"{stem_of(path)}.json"
    told = read_json(path.with_name(name)) or read_json(path.parent.parent / "BIDS" / name)
    parts = [str(told[key]) for key in ("Manufacturer", "ManufacturersModelName") if told.get(key)]
    if isinstance(strength := told.get("MagneticFieldStrength"), int | float):
        parts.append(f"{strength:g}T")
    return {"scanner": " ".join(parts)} if parts else {}


def _sessions(root: Path) -> list[Path]:
    here = [folder for top in (root, *look.folders(root)) for folder in look.folders(top) if SESSION.match(folder.name)]
    return sorted(dict.fromkeys(here), key=lambda folder: folder.name)


def _recognises(path: Path) -> bool:
    # a FreeSurfer folder of OASIS-3 has sessions of the same names
    return path.is_dir() and any(look.any_file(session, SCAN, 3, 100) for session in _sessions(path)[:20])


LAYOUT = Layout("OASIS-3", "OAS30001_MR_d0129/anat2/sub-OAS30001_ses-d0129_T1w.nii.gz", _recognises, read_oasis3)
