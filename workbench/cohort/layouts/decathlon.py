"""A Medical Segmentation Decathlon folder: `dataset.json` lists images and labels."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from workbench.cohort.contrasts import USUAL, contrast_of
from workbench.cohort.layouts.layout import Layout, Options
from workbench.cohort.source import Candidate, Source, absolute, stem_of, whole
from workbench.errors import WorkbenchError
from workbench.runs import texts


def read_decathlon(root: Path, dataset: str, options: Options | None = None) -> Source:
    """List the cases of ``root/dataset.json``, training (with labels) and test (without).

    A case of the Decathlon is a volume. Whose it is, is not published, so **each case counts as a person**: two
    volumes of one person may land on two sides of a split. Claims about people need another data set.

    Where ``modality`` names several contrasts, a file holds them as the volumes of its fourth axis, and that of the
    contrast that is asked for is taken.

    Raises:
        WorkbenchError: ``dataset.json`` cannot be read, lists no case, or names contrasts without the one asked for.
    """
    contrast = options.contrast if options else "T1w"
    path = root / "dataset.json"
    try:
        listing = texts.read_json(path)
    except WorkbenchError as error:
        raise WorkbenchError(error.what, cause=error.cause, remedy="unpack the data set again") from error
    cases = [*_list(listing, "training"), *_list(listing, "test")]
    if not cases:
        raise WorkbenchError(
            f"{path}: lists no case",
            cause="it has neither a 'training' nor a 'test' list",
            remedy="give a Decathlon dataset.json, or list the scans in a CSV",
        )
    source = Source(dataset)
    source.labels = _labels(listing, source)
    volume = _volume_of(contrast, listing, source, path)
    for case in cases:
        image, label = (case.get("image"), case.get("label")) if isinstance(case, dict) else (case, None)
        if (scan := _inside(root, image, source)) is None:
            continue
        seg = None if label is None else _inside(root, label, source, kind="segmentation")
        source.candidates.append(
            Candidate(
                dataset,
                stem_of(scan),
                scan,
                seg_path=seg,
                simulated=listing.get("Simulated") is True,
                volumes={} if volume is None else {contrast: volume},
            )
        )
    if source.candidates:
        source.note("a case is a volume, not a person: people cannot be kept apart in splits of this data set")
    return source


def _volume_of(contrast: str, listing: dict[str, Any], source: Source, path: Path) -> int | None:
    """Which volume of each 4D file is the contrast; None where a file holds but one."""
    given = listing.get("modality")
    named = (
        {number: str(name) for key, name in given.items() if (number := whole(key)) is not None}
        if isinstance(given, dict)
        else {}
    )
    known = {number: contrast_of(name) for number, name in named.items()}
    if len(named) < 2 and contrast == USUAL[0] and set(known.values()) <= {None, contrast}:
        if None in known.values():
            source.guess(f"dataset.json calls its contrast {next(iter(named.values()))[:60]}, which is taken for T1w")
        return None
    number = next((number for number, name in known.items() if name == contrast), None)
    if number is None:
        raise WorkbenchError(
            f"{path}: names no {contrast}",
            cause=f"its modality says {', '.join(named.values())[:200] or 'nothing'}",
            remedy="choose with --contrast"
            + "".join(f" {name}" for name in dict.fromkeys(filter(None, known.values())))
            + ", or list the scans in a table with a column a contrast",
        )
    if len(named) > 1:
        source.note(f"{contrast} is volume {number} of each 4D file; the cohort holds a copy of it")
    return number if len(named) > 1 else None


def _list(listing: dict[str, Any], name: str) -> list[Any]:
    cases = listing.get(name, [])
    return cases if isinstance(cases, list) else []


def _labels(listing: dict[str, Any], source: Source) -> list[tuple[int, str]]:
    """``{"1": "Anterior"}`` as the Decathlon writes it, or ``{"Anterior": 1}`` as nnU-Net does; no background."""
    labels: list[tuple[int, str]] = []
    given = listing.get("labels") or {}
    if not isinstance(given, dict) or not given:
        source.unused("dataset.json gives its labels as no mapping of codes and names: structures have no names")
        return []
    for key, value in given.items():
        told, name = (key, value) if whole(key) is not None else (value, key)
        if (code := whole(told)) is None:
            source.unused(
                f"a label in dataset.json has no whole number as its code: {str(key)[:60]}: {str(value)[:60]}"
            )
        elif code > 0:
            labels.append((code, str(name)))
    return labels


def _inside(root: Path, name: Any, source: Source, *, kind: str = "scan") -> Path | None:
    """The file that an entry names, if it lies below ``root``: dataset.json comes with the download and must not
    be able to point elsewhere on this machine."""
    if not isinstance(name, str) or not name:
        source.refuse(root / "dataset.json", f"an entry names no file: {name!r}", "correct dataset.json", kind=kind)
        return None
    pure = PurePosixPath(name.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts or ":" in name:
        source.refuse(
            name,
            "dataset.json points outside its own folder",
            kind=kind,
            participant_id=stem_of(name),
            remedy="do not trust this file; give relative paths without '..'",
        )
        return None
    return absolute(root / pure)


def _recognises(path: Path) -> bool:
    return (path / "dataset.json").is_file()


LAYOUT = Layout(
    "Medical Segmentation Decathlon", "a folder with dataset.json", _recognises, read_decathlon, contrasts=True
)
