"""A BIDS folder: every T1w with its person, its session, and what was derived from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.cohort.layouts.derivatives import brain_masks, segmentations
from workbench.cohort.layouts.layout import Layout, Options
from workbench.cohort.source import (
    IMAGE_ENDINGS,
    Candidate,
    Source,
    absolute,
    entities_of,
    is_simulated,
    read_json,
    read_rows,
    stem_of,
)
from workbench.errors import WorkbenchError

PATTERNS = ("sub-*/anat/sub-*_T1w.nii*", "sub-*/ses-*/anat/sub-*_T1w.nii*")


def read_bids(root: Path, dataset: str, options: Options | None = None) -> Source:
    """List the T1w scans below ``root``, with or without a session level; nothing is opened but small text files.

    ``participants.tsv`` and ``sub-*_sessions.tsv`` give the columns (a session's own value wins), the scan's
    ``.json`` the scanner where the tables are silent, ``derivatives/*`` segmentations and brain masks.

    Args:
        root: The folder that holds ``sub-*``.
        dataset: Name for the data set.
        options: What the user asks for.

    Raises:
        WorkbenchError: there is no T1w at all.
    """
    source = Source(dataset)
    found = sorted(path for pattern in PATTERNS for path in root.glob(pattern) if path.name.endswith(IMAGE_ENDINGS))
    if not found:
        raise WorkbenchError(
            f"{root}: no T1w scan found",
            remedy="name the files as BIDS does, or list them in a CSV",
            cause="looked for sub-*/[ses-*/]anat/sub-*_T1w.nii[.gz]",
        )
    people = _participants(root, source)
    simulated = is_simulated(root)
    taken: set[str] = set()
    for path in sorted(found, key=lambda path: (str(path.parent), not path.name.endswith(".gz"), path.name)):
        candidate = _candidate(path, root, source, people, simulated)
        if candidate is None:
            continue
        if (stem := str(path.parent / stem_of(path))) in taken:
            source.refuse(
                path,
                "the same scan is there as .nii.gz, which is used",
                "remove one of the two",
                participant_id=candidate.participant_id,
            )
            continue
        taken.add(stem)
        source.candidates.append(candidate)
    scanned = {candidate.participant_id for candidate in source.candidates}
    if without := sorted(set(people) - scanned):
        source.note(f"{len(without)} of {len(people)} people in participants.tsv have no T1w scan: {_few(without)}")
    if people and (unknown := sorted(scanned - set(people))):
        source.note(f"{len(unknown)} people are not in participants.tsv: {_few(unknown)}")
    segmentations(root, source, options.segmentations if options else None)
    brain_masks(root, source)
    source.described = read_json(root / "participants.json")
    return source


def _candidate(
    path: Path, root: Path, source: Source, people: dict[str, dict[str, Any]], simulated: bool
) -> Candidate | None:
    entities, folders = entities_of(path), path.relative_to(root).parts
    person = folders[0]
    session = folders[1] if folders[1].startswith("ses-") else ""
    named = (f"sub-{entities.pop('sub', '')}", f"ses-{ses}" if (ses := entities.pop("ses", "")) else "")
    if named != (person, session):
        # whose scan it is cannot be told, and a guess could put one person on two sides of a split
        says, lies = (" ".join(both).strip() for both in (named, (person, session)))
        source.refuse(
            path, f"the name says {says}, its folder {lies}", "rename the file or move it", participant_id=person
        )
        return None
    values = {**people.get(person, {}), **_session_values(root / person, session, source)}
    if not any(name.lower().startswith("scanner") for name in values):
        values |= _scanner(path)
    return Candidate(
        source.dataset,
        person,
        absolute(path),
        session=session,
        entities="_".join(f"{key}-{value}" for key, value in entities.items()),
        values=values,
        simulated=simulated,
    )


def _participants(root: Path, source: Source) -> dict[str, dict[str, Any]]:
    """``participants.tsv`` by participant id; what is wrong with it is noted, for scans are of use without it."""
    path = root / "participants.tsv"
    if not path.is_file():
        source.note("there is no participants.tsv, so sex, age and site are not known")
        return {}
    people: dict[str, dict[str, Any]] = {}
    try:
        rows = read_rows(path)
    except WorkbenchError as error:
        source.note(f"participants.tsv is not used: {error.cause}")
        return {}
    for row in rows:
        name = row.pop("participant_id", "")
        if not name:
            continue
        name = name if name.startswith("sub-") else f"sub-{name}"
        if name in people and people[name] != row:
            source.note(f"{name} stands in participants.tsv more than once; the first row is used")
        people.setdefault(name, row)
    if rows and not people:
        source.note("participants.tsv is not used: it has no column participant_id (is it separated by tabs?)")
    return people


def _session_values(folder: Path, session: str, source: Source) -> dict[str, Any]:
    """Columns of this session in ``sub-*_sessions.tsv``: in a longitudinal study, age and diagnosis stand there."""
    path = folder / f"{folder.name}_sessions.tsv"
    if not session or not path.is_file():
        return {}
    try:
        rows = read_rows(path)
    except WorkbenchError as error:
        source.note(f"{path.name} is not used: {error.cause}")
        return {}
    mine = [row for row in rows if f"ses-{row.pop('session_id', '').removeprefix('ses-')}" == session]
    return mine[0] if mine else {}


def _scanner(path: Path) -> dict[str, str]:
    """Maker, model and field strength from the scan's JSON sidecar, as one text."""
    sidecar = read_json(path.with_name(f"{stem_of(path)}.json"))
    parts = [str(sidecar[key]) for key in ("Manufacturer", "ManufacturersModelName") if sidecar.get(key)]
    if isinstance(strength := sidecar.get("MagneticFieldStrength"), int | float):
        parts.append(f"{strength:g}T")
    return {"scanner": " ".join(parts)} if parts else {}


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def _recognises(path: Path) -> bool:
    return path.is_dir() and any(folder.is_dir() for folder in path.glob("sub-*"))


LAYOUT = Layout("BIDS", "a folder with sub-*/[ses-*/]anat/sub-*_T1w.nii[.gz]", _recognises, read_bids)
