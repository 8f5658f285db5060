"""What LONI's Image and Data Archive gives as NIfTI, for ADNI and AIBL alike.

    ADNI/002_S_0295/MPRAGE/2006-04-18_08_20_30.0/I118671/ADNI_002_S_0295_MR_MPRAGE_br_raw_20060418201820420_32_S13408_I118671.nii

A folder a person, a series, a time of acquisition, an image. The number in ``br_raw_…`` is when the archive got it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from workbench.cohort.layouts import look
from workbench.cohort.source import IMAGE_ENDINGS, Source, absolute, stem_of

TIME = re.compile(r"\d{4}-\d{2}-\d{2}_\d{2}_\d{2}_\d{2}(\.\d+)?$")
T1 = re.compile(r"mp.?rage|(?<![a-z])mpr(?![a-z])|spgr|(?<![a-z0-9])m?t1(?![0-9])", re.IGNORECASE)
NOT_T1 = re.compile(r"mask|scout|locali[sz]er|calibration|flair|(?<![a-z0-9])t2|post", re.IGNORECASE)


@dataclass(frozen=True)
class Image:
    """One image of the archive: whose, of what, when, and its ids (``I118671``, ``S13408``; "" where not given)."""

    path: Path
    person: str
    series: str
    when: str  # "2006-04-18_08_20_30.0"; "" where the folders do not say
    image: str
    acquisition: str

    @property
    def day(self) -> date | None:
        return look.read_date(self.when) if self.when else None


def file_name(project: str, person: str) -> re.Pattern[str]:
    """What names of the archive's files look like, for a project and the form of its ids of people."""
    return re.compile(
        rf"{project}_(?P<person>{person})_(?P<modality>[A-Z]{{2}})_(?P<rest>.+)\.nii(\.gz)?$", re.IGNORECASE
    )


def t1_images(root: Path, project: str, person: str, source: Source) -> list[Image]:
    """The T1w images below ``root``: of each acquisition one, the most processed.

    The archive keeps an acquisition and what was made of it (gradient unwarping, B1 correction, N3, scaling) side by
    side. They are one scan; what is not taken is noted.

    Args:
        root: The folder that holds the folders of people, or one above it.
        project: "ADNI" or "AIBL".
        person: Regular expression of an id.
        source: For notes, and for files that contradict their folder.
    """
    named, is_person = file_name(project, person), re.compile(rf"{person}$")
    taken: dict[tuple[str, str, str], list[Image]] = defaultdict(list)
    other: list[str] = []
    strays: list[Path] = []
    for path in look.files(root):
        if not path.name.endswith(IMAGE_ENDINGS):
            continue
        match = named.match(path.name)
        parts = path.relative_to(root).parts[:-1]
        owner = next((part for part in parts if is_person.match(part)), "")
        if not (match or owner):
            strays.append(path)
            continue
        if match and owner and match["person"] != owner:
            source.refuse(
                path,
                f"the name says {match['person']}, its folder {owner}",
                "rename the file or move it",
                participant_id=owner,
            )
            continue
        image = _image(path, parts, owner or (match["person"] if match else ""), match)
        if (match and match["modality"].upper() != "MR") or not T1.search(image.series) or NOT_T1.search(image.series):
            other.append(image.series)
            continue
        # without a time (files in one folder) each image stands for itself
        taken[image.person, image.when or image.image or str(path), image.acquisition].append(image)
    look.tell_strays(strays, source)
    best = [max(images, key=lambda one: (_steps(one.series), one.image)) for images in taken.values()]
    if less := sum(map(len, taken.values())) - len(best):
        source.unused(f"{less} images are other versions of an acquisition that is taken in its most processed one")
    if other:
        source.unused(f"{len(other)} files of other series are not taken: {look.counted(other)}")
    return sorted(best, key=lambda one: (one.person, one.when, one.image))


def _image(path: Path, parts: tuple[str, ...], person: str, match: re.Match[str] | None) -> Image:
    time = next((part for part in parts if TIME.match(part)), "")
    series = parts[parts.index(time) - 1] if time and parts.index(time) > 0 else ""
    if not series and match:
        series = re.split(r"_(?:br|hist)_raw_|_Br_\d{14}|_S\d+_|_\d{14,}_", match["rest"], flags=re.IGNORECASE)[0]
    ids = f"_{stem_of(path)}_{'_'.join(parts)}_"
    number = re.search(r"_I(\d+)_", ids)
    acquisition = re.search(r"_S(\d+)_", f"_{stem_of(path).replace(person, '', 1)}_")
    return Image(
        absolute(path),
        person,
        series or stem_of(path),
        time,
        f"I{number[1]}" if number else "",
        f"S{acquisition[1]}" if acquisition else "",
    )


def _steps(series: str) -> tuple[int, bool]:
    """How far an image has come: ``MPR__GradWarp__B1_Correction__N3__Scaled`` is three steps after ``MPR``."""
    return series.count("__"), "scaled" in series.lower()


def recognises(path: Path, project: str, person: str) -> bool:
    if not path.is_dir():
        return False
    inside = [folder for top in (path, path / project) for folder in look.folders(top)[:50]]
    if any(re.fullmatch(person, folder.name) and _has_times(folder) for folder in inside):
        return True
    return look.any_file(path, file_name(project, person), 1, 200)


def _has_times(folder: Path) -> bool:
    """Whether a person's folder holds series with times in them: a number alone is no sign of the archive."""
    return any(TIME.match(when.name) for series in look.folders(folder)[:10] for when in look.folders(series)[:3])
