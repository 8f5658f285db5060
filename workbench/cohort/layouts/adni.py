"""ADNI as the archive gives it (NIfTI), with its tables: the search's own list, ADNIMERGE, DXSUM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.cohort.layouts import loni, look
from workbench.cohort.layouts.layout import Layout, Options
from workbench.cohort.source import Candidate, Source, is_simulated

PERSON = r"\d{3}_S_\d{4,5}"
NEAR = 92  # days between a visit and its scan: half the time to the next visit
KEPT = ("VISCODE", "COLPROT", "DX_bl", "PTEDUCAT", "APOE4", "MMSE", "CDRSB")
DIAGNOSES = {"1": "CN", "2": "MCI", "3": "AD"}
# DXCHANGE of ADNIGO and ADNI2: where a person came from and is now; only the latter counts
CHANGES = {"1": "CN", "7": "CN", "9": "CN", "2": "MCI", "4": "MCI", "8": "MCI", "3": "AD", "5": "AD", "6": "AD"}


def read_adni(root: Path, dataset: str, options: Options | None = None) -> Source:
    """List the T1w images of an ADNI download.

    A person is a PTID (``002_S_0295``), the site its first three digits, a session the day of the scan. Sex, age and
    diagnosis come from tables in ``root``, beside it or a folder below: the list that comes with a search of the
    archive (by image), else ``ADNIMERGE`` and ``DXSUM`` (by person, and the visit nearest to the scan within 92 days).
    """
    source, simulated = Source(dataset), is_simulated(root)
    images = loni.t1_images(root, "ADNI", PERSON, source)
    facts = _Facts(root, source)
    for image in images:
        values: dict[str, Any] = {"site": image.person[:3], "image_id": image.image, "series": image.series}
        values |= facts.of(image)
        source.candidates.append(
            Candidate(
                dataset,
                image.person,
                image.path,
                session=image.when[:10],
                entities=image.image,
                values={name: text for name, text in values.items() if text != ""},
                simulated=simulated,
            )
        )
    facts.tell(len(images))
    return source


class _Facts:
    """Sex, age and diagnosis of an image, from whichever tables are there; counts what was matched how."""

    def __init__(self, root: Path, source: Source) -> None:
        self.source = source
        self.by_image: dict[str, list[look.Row]] = {}
        self.visits: dict[str, list[look.Row]] = {}
        self.diagnoses: dict[str, list[look.Row]] = {}
        self.counts = {"listed": 0, "visits": 0, "diagnoses": 0}
        self.apart = 0
        used = []
        for path in look.tables(root, "*.csv", "*.xlsx", "*.xls"):
            columns = look.columns_of(path)
            if {"image data id", "subject"} <= columns:
                table, key = self.by_image, _image
            elif {"ptid", "examdate", "ptgender"} <= columns:
                table, key = self.visits, _person
            elif path.name.upper().startswith("DXSUM"):
                table, key = self.diagnoses, _rid
            else:
                continue
            table |= {
                name: rows for name, rows in look.by_key(look.rows_of(path, source), key).items() if name not in table
            }
            used.append(path.name)
        if used:
            source.note(f"sex, age and diagnosis are from {', '.join(used)}")
        else:
            source.note("there is no ADNIMERGE.csv nor a list of the search, so sex, age and diagnosis are not known")

    def of(self, image: loni.Image) -> look.Row:
        facts: look.Row = {}
        if rows := self.diagnoses.get(_number(image.person)):
            facts |= self._diagnosis(rows, image)
        if rows := self.visits.get(image.person):
            facts |= self._visit(rows, image)
        if rows := self.by_image.get(image.image):
            self.counts["listed"] += 1
            row, _ = look.agreed(rows)
            for name, column in (("sex", "Sex"), ("age", "Age"), ("visit", "Visit")):
                if text := look.value(row, column):
                    facts[name] = text
            facts.setdefault("diagnosis", look.value(row, "Group"))
        return facts

    def _visit(self, rows: list[look.Row], image: loni.Image) -> look.Row:
        sexes = {look.value(row, "PTGENDER") for row in rows} - {""}
        facts: look.Row = {"sex": sexes.pop()} if len(sexes) == 1 else {}
        day = image.day
        found = look.nearest(rows, day, "EXAMDATE", within=NEAR) if day else None
        if day is None or found is None:
            return facts
        row, apart = found
        self.counts["visits"] += 1
        self.apart = max(self.apart, apart)
        first = look.read_date(look.value(row, "EXAMDATE_bl"))
        if (age := look.number(look.value(row, "AGE"))) is not None and first is not None:
            facts["age"] = f"{age + (day - first).days / 365.25:.1f}"  # AGE is that at the first visit
        if diagnosis := look.value(row, "DX"):
            facts["diagnosis"] = "AD" if diagnosis == "Dementia" else diagnosis
        return facts | {name: look.value(row, name) for name in KEPT}

    def _diagnosis(self, rows: list[look.Row], image: loni.Image) -> look.Row:
        found = look.nearest(rows, image.day, "EXAMDATE", "USERDATE", within=NEAR) if image.day else None
        if found is None:
            return {}
        self.counts["diagnoses"] += 1
        change = look.value(found[0], "DXCHANGE").removesuffix(".0")
        code = look.value(found[0], "DXCURREN", "DIAGNOSIS").removesuffix(".0")
        return {"diagnosis": DIAGNOSES.get(code) or CHANGES.get(change, "")}

    def tell(self, images: int) -> None:
        if self.by_image:
            self.source.note(f"{self.counts['listed']} of {images} images are in the list of the search")
        if self.visits:
            self.source.note(
                f"{self.counts['visits']} of {images} images have a visit of ADNIMERGE within {NEAR} days "
                f"(at most {self.apart}); its AGE is that of the first visit, and the time since is added"
            )
        if self.diagnoses:
            self.source.note(
                f"{self.counts['diagnoses']} of {images} images have a diagnosis of DXSUM within {NEAR} days"
            )


def _image(row: look.Row) -> str:
    return f"I{look.value(row, 'Image Data ID').lstrip('I')}"


def _person(row: look.Row) -> str:
    return look.value(row, "PTID")


def _rid(row: look.Row) -> str:
    """The number of a person across phases: RID, or the end of the PTID."""
    given = look.value(row, "RID").removesuffix(".0")
    return str(int(given)) if given.isdigit() else _number(look.value(row, "PTID"))


def _number(ptid: str) -> str:
    """ "002_S_0295" → "295"; of five digits since ADNI4: "123_S_10295" → "10295"."""
    last = ptid.rsplit("_", 1)[-1]
    return str(int(last)) if last.isdigit() else ""


def _recognises(path: Path) -> bool:
    return loni.recognises(path, "ADNI", PERSON)


LAYOUT = Layout(
    "ADNI", "002_S_0295/MPRAGE/2006-04-18_08_20_30.0/I118671/ADNI_002_S_0295_MR_….nii", _recognises, read_adni
)
