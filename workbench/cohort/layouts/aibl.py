"""AIBL as the archive gives it (NIfTI), with the tables of its data extract (`aibl_ptdemog_….csv` and others)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.cohort.layouts import loni, look
from workbench.cohort.layouts.layout import Layout, Options
from workbench.cohort.source import Candidate, Source, is_simulated

PERSON = r"\d{1,7}"
DIAGNOSES = {"1": "CN", "2": "MCI", "3": "AD"}  # DXCURREN
MISSING = "-4"
CONSTANT = ("PTGENDER", "PTDOB", "SITEID")
METAS = {"aibl_mrimeta*.csv": "1.5T", "aibl_mri3meta*.csv": "3T"}


def read_aibl(root: Path, dataset: str, options: Options | None = None) -> Source:
    """List the T1w images of an AIBL download.

    A person is a RID, a session the day of the scan. Its visit is found by that day in ``aibl_mrimeta`` and
    ``aibl_mri3meta`` (which also say the field), the diagnosis by the visit in ``aibl_pdxconv``; sex, year of birth and
    site are in ``aibl_ptdemog``. The age is in whole years: only the year of birth is published.
    """
    source, simulated = Source(dataset), is_simulated(root)
    images = loni.t1_images(root, "AIBL", PERSON, source)
    people = look.by_key(_rows(root, source, "aibl_ptdemog*.csv"), _rid)
    diagnoses = look.by_key(_rows(root, source, "aibl_pdxconv*.csv"), _rid)
    visits = look.by_key([r | {"field": f} for n, f in METAS.items() for r in _rows(root, source, n)], _rid)
    matched = 0
    unclear: dict[str, list[str]] = {}
    for image in images:
        person, columns = look.agreed(people.get(image.person, []))
        # a row a visit: of what is read here only the visit and its day may differ
        unclear[image.person] = [name for name in columns if name.upper() in CONSTANT]
        values: dict[str, Any] = {"image_id": image.image, "series": image.series, "site": look.value(person, "SITEID")}
        values["sex"] = {"1": "male", "2": "female"}.get(look.value(person, "PTGENDER"), "")
        born = look.number(look.value(person, "PTDOB").strip("/")[-4:])
        if born and image.day:
            values["age"] = str(image.day.year - int(born))
        visit = look.nearest(visits.get(image.person, []), image.day, "EXAMDATE", within=31) if image.day else None
        if visit is not None:
            matched += 1
            code, values["scanner"] = look.value(visit[0], "VISCODE"), visit[0]["field"]
            values["visit"] = code
            given = {
                look.value(r, "DXCURREN") for r in diagnoses.get(image.person, []) if look.value(r, "VISCODE") == code
            }
            values["diagnosis"] = DIAGNOSES.get(given.pop(), "") if len(given) == 1 else ""
        source.candidates.append(
            Candidate(
                dataset,
                image.person,
                image.path,
                session=image.when[:10],
                entities=image.image,
                values={name: text for name, text in values.items() if text not in ("", MISSING)},
                simulated=simulated,
            )
        )
    look.tell_contradicting(unclear, source)
    if visits:
        source.note(f"{matched} of {len(images)} images are of a visit that aibl_mrimeta or aibl_mri3meta lists")
    if people:
        source.note("ages are in whole years, which may be one off: only the year of birth is published")
    return source


def _rows(root: Path, source: Source, name: str) -> list[look.Row]:
    found = look.tables(root, name)
    if not found:
        source.note(f"there is no {name}, so what it says is not known")
        return []
    return look.rows_of(found[0], source)


def _rid(row: look.Row) -> str:
    return look.value(row, "RID").removesuffix(".0")


def _recognises(path: Path) -> bool:
    return loni.recognises(path, "AIBL", PERSON)


LAYOUT = Layout(
    "AIBL", "AIBL/3/MPRAGE_ADNI_confirmed/2009-07-28_10_38_51.0/I239487/AIBL_3_MR_….nii", _recognises, read_aibl
)
