"""A FreeSurfer (or FastSurfer) subjects folder: `bert/mri/T1.mgz` with `aseg.mgz`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from workbench.cohort.layouts import look
from workbench.cohort.layouts.layout import Layout, Options
from workbench.cohort.source import Candidate, Source, absolute, is_simulated

SCANS = ("T1.mgz", "orig.mgz", "nu.mgz", "T1.nii.gz", "orig.nii.gz")
SEGMENTATIONS = ("aseg.mgz", "aseg.auto_noCCseg.mgz", "aseg.nii.gz")
MASKS = ("mask.mgz", "brainmask.mgz", "brainmask.nii.gz")
TEMPLATE = re.compile(r"fsaverage.*|.*_(base|template)$|.*\.base$|cvs_.*|lh\..*|rh\..*|V1_average")
# a person and a session that a folder's name spells out; anything else is a person as it stands
NAMES = (
    re.compile(r"(?P<person>sub-[A-Za-z0-9]+)_(?P<session>ses-[A-Za-z0-9]+)(?P<rest>.*)$"),
    re.compile(r"(?P<person>OAS[12]_\d{4})_(?P<session>MR\d+)(?P<rest>.*)$"),
    re.compile(r"(?P<person>OAS3\d{4})_MR_(?P<session>d\d+)(?P<rest>.*)$"),
    re.compile(r"(?P<person>\d{3}_S_\d{4,5})[_-](?P<session>.+?)(?P<rest>)$"),
    re.compile(r"(?P<person>.+)_(?P<session>MR\d+)(?P<rest>)$"),
)
# codes of aseg.mgz, from FreeSurfer's public colour table
ASEG = {
    2: "Left-Cerebral-White-Matter",
    3: "Left-Cerebral-Cortex",
    4: "Left-Lateral-Ventricle",
    5: "Left-Inf-Lat-Vent",
    7: "Left-Cerebellum-White-Matter",
    8: "Left-Cerebellum-Cortex",
    10: "Left-Thalamus",
    11: "Left-Caudate",
    12: "Left-Putamen",
    13: "Left-Pallidum",
    14: "3rd-Ventricle",
    15: "4th-Ventricle",
    16: "Brain-Stem",
    17: "Left-Hippocampus",
    18: "Left-Amygdala",
    24: "CSF",
    26: "Left-Accumbens-area",
    28: "Left-VentralDC",
    30: "Left-vessel",
    31: "Left-choroid-plexus",
    41: "Right-Cerebral-White-Matter",
    42: "Right-Cerebral-Cortex",
    43: "Right-Lateral-Ventricle",
    44: "Right-Inf-Lat-Vent",
    46: "Right-Cerebellum-White-Matter",
    47: "Right-Cerebellum-Cortex",
    49: "Right-Thalamus",
    50: "Right-Caudate",
    51: "Right-Putamen",
    52: "Right-Pallidum",
    53: "Right-Hippocampus",
    54: "Right-Amygdala",
    58: "Right-Accumbens-area",
    60: "Right-VentralDC",
    62: "Right-vessel",
    63: "Right-choroid-plexus",
    72: "5th-Ventricle",
    77: "WM-hypointensities",
    80: "non-WM-hypointensities",
    85: "Optic-Chiasm",
    251: "CC_Posterior",
    252: "CC_Mid_Posterior",
    253: "CC_Central",
    254: "CC_Mid_Anterior",
    255: "CC_Anterior",
}


def read_freesurfer(root: Path, dataset: str, options: Options | None = None) -> Source:
    """List the conformed scan of every subject folder, with ``aseg.mgz``; the structures are FreeSurfer's, not traced.

    A name that spells out a session (``OAS1_0001_MR1``, ``sub-01_ses-2``) gives a person and a session, any other
    counts as a person. Templates (``fsaverage``, ``…_base``) are no people; a longitudinal run
    (``A.long.B``) is the scan of ``A`` again and is taken only where ``A`` is not there.
    """
    source, simulated = Source(dataset, labels=list(ASEG.items())), is_simulated(root)
    subjects = [folder for folder in look.folders(root) if (folder / "mri").is_dir()]
    names = {folder.name for folder in subjects}
    people = _people(root, source)
    templates: list[str] = []
    again: list[str] = []
    whole: list[str] = []
    for folder in subjects:
        point = folder.name.split(".long.")[0]
        if point == folder.name and TEMPLATE.fullmatch(point):
            templates.append(folder.name)
            continue
        if point != folder.name and (point in names or point in again):
            again.append(folder.name)
            continue
        scan = _first(folder / "mri", SCANS)
        if scan is None:
            source.refuse(
                folder / "mri", f"none of {', '.join(SCANS[:3])} is there", "run recon-all to its end, or remove it"
            )
            continue
        again.append(point)
        person, session = _who(point)
        if not session:
            whole.append(point)
        values: dict[str, Any] = {**people.get(person, {}), **people.get(point, {})}
        source.candidates.append(
            Candidate(
                dataset,
                person,
                scan,
                session=session,
                seg_path=_first(folder / "mri", SEGMENTATIONS),
                mask_path=_first(folder / "mri", MASKS),
                values=values,
                simulated=simulated,
            )
        )
    if templates:
        source.unused(f"templates are no people and are not taken: {look.few(templates)}")
    if longitudinal := [name for name in again if ".long." in name]:
        source.unused(
            f"{len(longitudinal)} longitudinal runs are scans that are taken already: {look.few(longitudinal)}"
        )
    if whole:
        source.guess(f"{len(whole)} folders name no session and count as a person each: {look.few(whole)}")
    return source


def _who(name: str) -> tuple[str, str]:
    match = next((found for pattern in NAMES if (found := pattern.match(name))), None)
    return (match["person"], match["session"] + match["rest"]) if match else (name, "")


def _people(root: Path, source: Source) -> dict[str, look.Row]:
    """Rows of a table of people in or beside the folder, or in the data set that it is a derivative of."""
    names = ("participants.tsv", "participants.csv", "demographics.csv")
    found = look.tables(root, *names, below=False)
    if not found and root.parent.name == "derivatives":
        found = look.tables(root.parents[1], *names, below=False)
    if not found:
        source.note("there is no participants.tsv, so sex, age and site are not known")
        return {}
    source.note(f"columns are from {found[0]}")
    rows = look.by_key(
        look.rows_of(found[0], source), lambda r: look.value(r, "participant_id", "subject_id", "subject")
    )
    agreed = {name: look.agreed(mine) for name, mine in rows.items()}
    look.tell_contradicting({name: columns for name, (_, columns) in agreed.items()}, source)
    return {name: {k: v for k, v in row.items() if v != name} for name, (row, _) in agreed.items()}


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((absolute(folder / name) for name in names if (folder / name).is_file()), None)


def _recognises(path: Path) -> bool:
    return path.is_dir() and any(_first(folder / "mri", SCANS) for folder in look.folders(path)[:50])


LAYOUT = Layout("FreeSurfer", "a folder a subject with mri/T1.mgz or mri/orig.mgz", _recognises, read_freesurfer)
