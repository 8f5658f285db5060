"""HarP, the harmonised hippocampus of ADNI: scans, and two label files each, `…_L.nii` and `…_R.nii`."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from workbench.cohort.layouts import look
from workbench.cohort.layouts.layout import Layout, Options
from workbench.cohort.source import Candidate, Part, Source, absolute, is_simulated

# ADNI_002_S_0295_13722_L.nii; files with CSF in their name outline what surrounds the hippocampus
LABEL = re.compile(r"ADNI_(?P<person>\d{3}_S_\d{4,5})_(?P<image>[A-Z]?\d+)_(?P<side>[LR])\.(nii|nii\.gz|mnc)$")
SCAN = re.compile(r"(ADNI_)?(?P<person>\d{3}_S_\d{4,5})_(?P<image>[A-Z]?\d+)(_ACPC)?\.(nii|nii\.gz|mnc)$")
# the scans as downloaded from the archive itself, whose names end in the same number (…_S13722_I45112.nii)
ARCHIVE = re.compile(r"ADNI_(?P<person>\d{3}_S_\d{4,5})_MR_.*_[SI](?P<image>\d+)(_I\d+)?\.(nii|nii\.gz)$")
PREFERRED = (".nii.gz", ".nii", ".mnc")  # the release has labels in both formats
LABELS = [(1, "Left Hippocampus"), (2, "Right Hippocampus")]
SIDES = (("L", "left", 1), ("R", "right", 2))


def read_harp(root: Path, dataset: str, options: Options | None = None) -> Source:
    """List the scans of HarP that are there, each with its two label files as one segmentation.

    A person is a PTID of ADNI, as in the layout ADNI, and the site its first three digits, so that whoever is in both
    can be found. Scan and labels belong together by PTID and image number.
    """
    source, simulated = Source(dataset, labels=LABELS), is_simulated(root)
    scans: dict[tuple[str, str], list[Path]] = defaultdict(list)
    labels: dict[tuple[str, str], dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    strays: list[Path] = []
    archive: list[tuple[Path, str, list[str]]] = []
    for path in look.files(root):
        if match := LABEL.match(path.name):
            labels[match["person"], match["image"]][match["side"]].append(path)
        elif match := SCAN.match(path.name):
            scans[match["person"], match["image"]].append(path)
        elif match := ARCHIVE.match(path.name):
            archive.append((path, match["person"], re.findall(r"_[SI](\d+)(?=[_.])", path.name.split("_MR_", 1)[1])))
        elif "csf" not in path.name.lower():
            strays.append(path)
    look.tell_strays(strays, source)
    for path, person, numbers in archive:  # of the series and of the image: the labels may be named after either
        number = next((number for number in numbers if (person, number) in labels), numbers[-1])
        scans[person, number].append(path)
    for key, paths in sorted(scans.items()):
        person, image = key
        sides = {side: _preferred(found) for side, found in labels.pop(key, {}).items()}
        source.candidates.append(
            Candidate(
                dataset,
                person,
                absolute(_preferred(paths)),
                entities=image,
                seg_parts=[
                    Part(absolute(sides[side]), code=code, side=name) for side, name, code in SIDES if side in sides
                ],
                values={"site": person[:3]},
                simulated=simulated,
            )
        )
        if len(sides) == 1:
            only = next(iter(sides))
            source.note(f"{person} {image} has a label file of one side only ({only})")
    for (person, image), found in sorted(labels.items()):
        source.refuse(
            _preferred([path for paths in found.values() for path in paths]),
            f"there is no scan {image} of {person}",
            "download it from the archive by that number, or from the release (…_ACPC)",
            participant_id=person,
            kind="segmentation",
        )
    return source


def _preferred(paths: list[Path]) -> Path:
    return min(
        paths, key=lambda path: (next(i for i, end in enumerate(PREFERRED) if path.name.endswith(end)), str(path))
    )


def _recognises(path: Path) -> bool:
    return path.is_dir() and look.any_file(path, LABEL, 3)


LAYOUT = Layout("HarP", "Labels_100_NIFTI/ADNI_002_S_0295_13722_L.nii and …_R.nii", _recognises, read_harp)
