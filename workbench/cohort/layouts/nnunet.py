"""nnU-Net raw data, version 1 (`Task001_…`) and 2 (`Dataset001_…`): `imagesTr/case_0000.nii.gz`, `labelsTr`."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from workbench.cohort.contrasts import contrast_of
from workbench.cohort.layouts import look
from workbench.cohort.layouts.layout import Layout, Options
from workbench.cohort.source import IMAGE_ENDINGS, Candidate, Source, absolute, read_json, whole
from workbench.errors import WorkbenchError
from workbench.runs import texts

CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})\.nii(\.gz)?$")
OTHER = re.compile(r"t2|flair|t1c|t1ce|t1gd|t1post|pd|dwi|adc|swi|bold|pet|^ct$", re.IGNORECASE)
SIDES = ("Tr", "Ts")


def read_nnunet(root: Path, dataset: str, options: Options | None = None) -> Source:
    """List one channel of every case (T1w, or another contrast): training with labels, test with those of ``labelsTs``.

    Which channel is which is said by ``channel_names`` (version 2) or ``modality`` (version 1). Whose a case is, is not
    known, so **each case counts as a person**: two cases of one person may land on two sides of a split.

    Raises:
        WorkbenchError: ``dataset.json`` cannot be read, or no channel is of the contrast.
    """
    path = root / "dataset.json"
    listing = _listing(path)
    source = Source(dataset)
    source.labels = _labels(listing, source)
    found: dict[tuple[str, str], dict[str, Path]] = defaultdict(dict)
    other: list[str] = []
    for side in SIDES:
        for image in look.files(root / f"images{side}", 0):
            if not image.name.endswith(IMAGE_ENDINGS):
                other.append(image.suffix or image.name)
            elif match := CHANNEL.match(image.name):
                found[side, match["case"]][match["channel"]] = image
            else:
                source.refuse(image, "its name ends in no channel number", "name it …_0000.nii.gz")
    channel = _channel(listing, path, source, options or Options(), {number for c in found.values() for number in c})
    for (side, case), channels in sorted(found.items()):
        if channel not in channels:
            source.refuse(
                root / f"images{side}" / case,
                f"there is no channel {channel} ({', '.join(sorted(channels))} are there)",
                "add the file, or take the case out",
                participant_id=case,
            )
            continue
        seg = _beside(root / f"labels{side}", case)
        if seg is None and side == "Tr":
            source.refuse(
                root / f"labels{side}" / case,
                "the case has no label file",
                "add it, or move the case to imagesTs",
                participant_id=case,
                kind="segmentation",
            )
        simulated = listing.get("Simulated") is True
        scan = absolute(channels[channel])
        source.candidates.append(Candidate(dataset, case, scan, seg_path=seg, simulated=simulated))
    used = {candidate.seg_path for candidate in source.candidates}
    labels = [path for side in SIDES for path in look.files(root / f"labels{side}", 0)]
    if alone := [path.name for path in labels if absolute(path) not in used]:
        source.unused(f"{len(alone)} label files belong to no case that is taken: {look.few(alone)}")
    if other:
        source.unused(f"{len(other)} files are in formats that are not read: {look.counted(other)}")
    if source.candidates:
        source.note("a case is a volume, not a person: people cannot be kept apart in splits of this data set")
    return source


def _listing(path: Path) -> dict[str, Any]:
    try:
        return texts.read_json(path)
    except WorkbenchError as error:
        raise WorkbenchError(error.what, cause=error.cause, remedy="unpack the data set again") from error


def _channel(listing: dict[str, Any], path: Path, source: Source, options: Options, there: set[str]) -> str:
    """The number (``0000``) of the channel of a contrast; one that is alone and names none is taken for the first."""
    contrast = options.contrast
    given = listing.get("channel_names") or listing.get("modality") or {}
    names = {str(key): str(name) for key, name in given.items()} if isinstance(given, dict) else {}
    native = [key for key, name in names.items() if contrast_of(name) == contrast]
    if len(native) == 1 and (number := whole(native[0])) is not None:
        if len(names) > 1 and options.first:
            source.note(f"of its channels ({', '.join(names.values())}) only {names[native[0]]} is taken")
        return f"{number:04d}"
    if len(there) > 1 and not names:
        raise WorkbenchError(
            f"{path}: does not name its channels",
            cause=f"the files have the channels {', '.join(sorted(there))}, and nothing says which is {contrast}",
            remedy='add "channel_names": {"0": "T1w", …}',
        )
    if len(names) <= 1 and options.first and not any(OTHER.search(name) for name in names.values()):
        told = next(iter(names.values()), "nothing")
        source.guess(
            f"dataset.json calls its only channel {told!r}, which names no contrast: it is taken for {contrast}"
        )
        return "0000"
    raise WorkbenchError(
        f"{path}: no channel is {contrast}",
        cause=f"its channels are: {', '.join(f'{key} {name}' for key, name in names.items())}",
        remedy=f"name the {contrast} channel '{contrast}' in channel_names, or list the scans you mean in a CSV",
    )


def _labels(listing: dict[str, Any], source: Source) -> list[tuple[int, str]]:
    """``{"Hippocampus": 1}`` (version 2) or ``{"1": "Hippocampus"}`` (1); neither background nor regions."""
    labels: dict[int, str] = {}
    regions: list[str] = []
    given = listing.get("labels")
    if not isinstance(given, dict) or not given:
        source.unused("dataset.json has no mapping of labels and their codes: codes have no names")
    for key, told in given.items() if isinstance(given, dict) else []:
        number, name = (key, told) if whole(key) is not None else (told, key)
        if isinstance(number, list):
            regions.append(f"{name} = {str(number)[:60]}")
        elif (code := whole(number)) is None:
            source.unused(f"a label in dataset.json has no whole number as its code: {str(key)[:60]}: {str(told)[:60]}")
        elif code > 0:
            labels.setdefault(code, str(name))
    if regions:
        source.note(f"regions of several codes are not structures of their own: {look.few(regions)}")
    return list(labels.items())


def _beside(folder: Path, case: str) -> Path | None:
    return next((absolute(path) for end in IMAGE_ENDINGS if (path := folder / f"{case}{end}").is_file()), None)


def _recognises(path: Path) -> bool:
    """By ``channel_names``, or by channel numbers: in a Decathlon folder, images and labels have one name."""
    if not (path / "dataset.json").is_file() or not (path / "imagesTr").is_dir():
        return False
    if "channel_names" in read_json(path / "dataset.json"):
        return True
    first = [file for _, file in zip(range(50), look.files(path / "imagesTr", 0), strict=False)]
    return any(CHANNEL.match(file.name) and not (path / "labelsTr" / file.name).exists() for file in first)


LAYOUT = Layout("nnU-Net raw", "dataset.json and imagesTr/…_0000.nii.gz", _recognises, read_nnunet, contrasts=True)
