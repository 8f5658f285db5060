"""Where a path is no source itself: several in one folder, one a level up or down, or scans that are still DICOM."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workbench.cohort.layouts import look
from workbench.cohort.layouts.layout import Layout
from workbench.cohort.source import IMAGE_ENDINGS
from workbench.errors import WorkbenchError

DICOM = ("dcm", "ima", "dicom")  # endings; files without one are asked for the four letters at byte 128
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip", ".7z", ".rar")
LOOKED_AT = 200
FOLDERS = 50  # that are looked into on each level
SHOWN = 3


def members(path: Path, layouts: Sequence[Layout], inside: Layout) -> list[Path]:
    """The data sets in a folder that is none itself (a root of many, such as OpenMind); [] where it is no such root.

    Folders of two data sets or more count; one alone is rather a path that was given a level too high.

    Args:
        path: The folder.
        layouts: By one of which it would be a data set itself.
        inside: The layout of its data sets.
    """
    if not path.is_dir():
        return []
    found = [folder for folder in look.folders(path) if inside.recognises(folder)]
    return found if len(found) > 1 and not any(layout.recognises(path) for layout in layouts) else []


def refuse(path: Path, layouts: Sequence[Layout]) -> WorkbenchError:
    """Why ``path`` is no source, with what is near it that is."""
    if dicom := find_dicom(path):
        return WorkbenchError(
            f"{path}: holds DICOM files, which are not read",
            cause=f"for example {dicom}",
            remedy=f"convert them first, for example: dcm2niix -z y -b y -f '%i_%s' -o NIFTI '{path}'",
        )
    images = _images(path) if path.is_dir() else []
    packed = (
        [file.name for file in look.files(path, 0) if file.name.lower().endswith(ARCHIVES)] if path.is_dir() else []
    )
    if packed and not images:  # before what lies around it: that may be anything
        return WorkbenchError(
            f"{path}: not a source of scans",
            cause=f"it holds archives ({', '.join(packed[:SHOWN])}) and no scan",
            remedy="unpack them",
        )
    near = next((found for folders in _around(path) if (found := _named(folders, layouts, path))), [])
    if near:
        return WorkbenchError(
            f"{path}: not a source of scans",
            cause="; ".join(f"{folder} looks like {name}" for folder, name in near[:SHOWN]),
            remedy=f"give {' '.join(str(folder) for folder, _ in near[:SHOWN])}",
        )
    if images:
        return WorkbenchError(
            f"{path}: not a source of scans",
            cause=f"it holds images ({', '.join(images)}), but not as any of these names them: "
            + ", ".join(layout.name for layout in layouts),
            remedy="list them in a table, one row a scan (scans.csv with the columns path, participant, session, site, "
            "sex, age), and give that",
        )
    return WorkbenchError(
        f"{path}: not a source of scans",
        cause=f"looked for {'; '.join(f'{layout.name}: {layout.known_by}' for layout in layouts)}",
        remedy="give the folder that holds these, or a table that lists the scans",
    )


def _images(path: Path) -> list[str]:
    """Of the first files below ``path`` some that are images by their endings."""
    first = (file for _, file in zip(range(LOOKED_AT), look.files(path), strict=False))
    return [str(file.relative_to(path)) for file in first if file.name.lower().endswith(IMAGE_ENDINGS)][:SHOWN]


def _around(path: Path) -> list[list[Path]]:
    """A level down, then two, then up: where people point by mistake."""
    down = look.folders(path)[:FOLDERS] if path.is_dir() else []
    further = [below for folder in down for below in look.folders(folder)[:FOLDERS]][:FOLDERS]
    return [down, further, [path.parent], [path.parent.parent]]


def _through(folder: Path, path: Path, layout: Layout) -> bool:
    """Whether ``layout`` knows a folder above ``path`` by a data set beside it: that says nothing of ``path``."""
    between = [above for above in (path.parent, *path.parents) if above.is_relative_to(folder)]
    own = {path, *path.parents}
    others = [other for above in between for other in look.folders(above)[:FOLDERS] if other not in own]
    return path.is_relative_to(folder) and any(layout.recognises(other) for other in others)


def _named(folders: list[Path], layouts: Sequence[Layout], path: Path) -> list[tuple[Path, str]]:
    """The folders that are data sets, with the name of their layout; see ``_through`` for those above ``path``."""
    first = (
        (folder, next((one.name for one in layouts if one.recognises(folder) and not _through(folder, path, one)), ""))
        for folder in folders
    )
    return [(folder, name) for folder, name in first if name]


def find_dicom(path: Path) -> Path | None:
    """One of the first files below ``path`` that is DICOM; None where there are none."""
    every = [path] if path.is_file() else look.files(path, 8)
    for _, file in zip(range(LOOKED_AT), every, strict=False):
        ending = file.suffix.lstrip(".").lower()
        if file.name == "DICOMDIR" or ending in DICOM or (not ending.isalpha() and _says_dicom(file)):
            return file
    return None


def _says_dicom(file: Path) -> bool:
    try:
        with open(file, "rb") as stream:
            stream.seek(128)
            return stream.read(4) == b"DICM"
    except OSError:
        return False
