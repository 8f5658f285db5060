"""Which files of a BIDS folder are its scans, and why the others that look like scans are none."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from workbench.cohort.contrasts import CONTRASTED, contrast_of
from workbench.cohort.match import few
from workbench.cohort.source import IMAGE_ENDINGS, Source, entities_of, is_folder, stem_of

SUFFIX = "T1w"
OTHER_MODALITIES = {
    "func", "dwi", "fmap", "perf", "meg", "eeg", "ieeg", "pet", "beh", "micr", "motion", "nirs", "mrs",
    "figures", "log", "xfm",
}  # fmt: skip
NO_PEOPLE = {"derivatives", "sourcedata", "code", "stimuli", "phenotype", "logs", "rawdata", "figures", "tpl"}
FURTHER_ENDINGS = (
    ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm", ".nii.bz2", ".nii.xz", ".nii.zst", ".nii.zip", ".img.gz", ".mnc.gz",
)  # fmt: skip
NO_SCAN = re.compile(
    r"mask|seg|label|lesion|roi|tumou?r|stroke|hippo|wmh", re.IGNORECASE
)  # in the name of a scan's file
DEPTH = 6


def images_below(
    folder: Path, depth: int = DEPTH, *, anatomical: bool = True, unread: list[Path] | None = None
) -> Iterator[Path]:
    """Image files below a person's folder by name; hidden files and (if ``anatomical``) other modalities left out.
    Folders that may not be opened are added to ``unread``."""
    yield from _images(folder, depth, anatomical, set(), [] if unread is None else unread)


def _images(
    folder: Path, depth: int, anatomical: bool, seen: set[tuple[int, int]], unread: list[Path]
) -> Iterator[Path]:
    try:
        here = folder.stat()
        if (here.st_dev, here.st_ino) in seen:  # a link back up
            return
        seen.add((here.st_dev, here.st_ino))
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        unread.append(folder)
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if is_folder(entry):
            if depth > 0 and not (anatomical and entry.name in OTHER_MODALITIES):
                yield from _images(Path(entry.path), depth - 1, anatomical, seen, unread)
        elif entry.name.lower().endswith((*IMAGE_ENDINGS, *FURTHER_ENDINGS)):
            yield Path(entry.path)


def find_scans(root: Path, source: Source, contrast: str = "T1w") -> list[Path]:
    """The scans of a contrast below ``root``; of each person without one it is said why, and so of files that nearly
    are one."""
    suffix = suffix_of(contrast)
    found: list[Path] = []
    unread: list[Path] = []
    for folder in sorted(path for path in root.glob("sub-*") if path.is_dir()):
        others: Counter[str] = Counter()
        near: list[tuple[Path, str, str]] = []
        mine: list[Path] = []
        for path in images_below(folder, unread=unread):
            if (problem := why_not(path, root, contrast)) is None:
                mine.append(path)
            elif problem[0]:
                near.append((path, *problem))
            else:
                others[_suffix(path)] += 1
        found += mine
        for path, cause, remedy in near:
            source.refuse(path, cause, remedy, participant_id=folder.name)
        if not mine and not near:
            there = f"it has only {few([f'{name} ({n})' for name, n in others.most_common()])}" if others else ""
            source.refuse(
                folder,
                f"no {contrast} scan{': ' + there if there else ' in this folder'}",
                f"add {folder.name}/[ses-*/]anat/{folder.name}_{suffix}.nii.gz, or leave it so",
                participant_id=folder.name,
                kind="person",
            )
    for link in sorted(path for path in root.glob("sub-*") if path.is_symlink() and not path.exists()):
        source.refuse(
            link,
            "it is a link to a folder that is not there",
            "repair the link",
            participant_id=link.name,
            kind="person",
        )
    if unread:
        source.unused(
            f"{len(unread)} folders cannot be opened, what is in them is not known (check their permissions): "
            f"{few([str(path.relative_to(root)) for path in unread], 3)}"
        )
    _misplaced(root, source, suffix)
    if contrast == "T1w":
        return _without_agent(found, source)
    return found


def suffix_of(contrast: str) -> str:
    """What the names of its files end in."""
    return SUFFIX if contrast == CONTRASTED else contrast


def _without_agent(found: list[Path], source: Source) -> list[Path]:
    """Of a session with T1w before and after a contrast agent (``ce-``) the ones before; the others are said."""
    before = {path.parent for path in found if "ce" not in entities_of(path)}
    after = [path for path in found if "ce" in entities_of(path) and path.parent in before]
    if after:
        source.unused(
            f"{len(after)} T1w after a contrast agent (ce-) are not taken beside those without: "
            f"{few([path.name for path in after], 3)}; --contrast {CONTRASTED} takes them"
        )
    if alone := [path for path in found if "ce" in entities_of(path) and path.parent not in before]:
        source.guess(
            f"{len(alone)} T1w are there only after a contrast agent (ce-) and are taken beside those without: "
            f"{few([path.name for path in alone], 3)}"
        )
    return [path for path in found if path not in set(after)]


def why_not(path: Path, root: Path, contrast: str = "T1w") -> tuple[str, str] | None:
    """None for a scan of the contrast with a BIDS name in its place; else cause and remedy, which are empty for another
    kind of image (T2w, a mask)."""
    stem, folders = stem_of(path), path.relative_to(root).parts[:-1]
    suffix, person = _suffix(path), folders[0]
    wanted = suffix_of(contrast)
    if contrast == CONTRASTED and "ce" not in entities_of(path):
        return "", ""
    if suffix == wanted and path.name.lower().endswith(IMAGE_ENDINGS):
        if not path.name.startswith("sub-"):
            return "its name does not begin with sub-", f"rename it to {person}_{wanted}.nii.gz"
        if folders[-1] != "anat":
            where = "/".join(folders[1:]) or "the person's own folder"
            return f"it lies in {where}, not in anat", f"move it to {person}/[ses-*/]anat"
        if len(folders) > 3 or (len(folders) == 3 and not folders[1].startswith("ses-")):
            return f"it lies too deep: {'/'.join(folders)}", f"move it to {person}/[ses-*/]anat"
        if (part := entities_of(path).get("part", "mag")) != "mag":
            return f"it is no image of magnitudes (part-{part})", "take the one with part-mag, or without part-"
        return None
    if suffix == wanted:
        ending = "".join(path.suffixes[-2:])
        return f"files ending in {ending} are not read", "convert it to .nii.gz, for example with mri_convert"
    if suffix == "UNIT1" and contrast == "T1w":
        return (
            "it is an MP2RAGE image (UNIT1), not a T1w",
            "--contrast UNIT1 takes such images; to take it as a T1w among others, link or copy it as "
            f"{stem[: -len('UNIT1')]}{wanted}.nii.gz",
        )
    if path.name.lower().endswith(IMAGE_ENDINGS) and not path.name.endswith(IMAGE_ENDINGS):
        return "its ending is in capitals", "rename it to end in .nii.gz or .nii"
    if re.search(rf"{wanted}\.(nii|gz)", stem, re.IGNORECASE):
        return "its name ends twice", f"rename it to {stem.split('.')[0]}.nii.gz"
    if suffix.lower() == wanted.lower():
        return f"BIDS writes {wanted}, its name has {suffix}", f"rename it to {stem[: -len(suffix)]}{wanted}.nii.gz"
    if wanted in stem.split("_") and not NO_SCAN.search(stem.split(f"_{wanted}_", 1)[-1]):
        extra = stem.split(f"_{wanted}_", 1)[1]
        tag = re.sub(r"[^A-Za-z0-9]", "", extra)
        return (
            f"its name goes on after {wanted}: {extra}",
            f"rename it to {stem.split(f'_{wanted}_')[0]}_rec-{tag}_{wanted}.nii.gz",
        )
    if folders[-1:] != ("anat",) and len(folders) > 3:
        return "", ""
    if any(contrast_of(word) for word in stem.split("_")[1:-1]):  # sub-01_FLAIR_brain is none
        return "", ""
    if contrast == "T1w" and re.fullmatch(
        r"(?i)(t1|mprage|mp-?rage|spgr|t1-?weighted|t1mprage|anat|anatomy|brain)", suffix
    ):
        return f"its name does not say {wanted} but {suffix}", f"rename it to {person}_[ses-*_]{wanted}.nii.gz"
    return "", ""


def _misplaced(root: Path, source: Source, suffix: str) -> None:
    """Scans whose person's folder is not called ``sub-…``, or that lie in none."""
    for path in sorted(root.iterdir()):
        if path.name in NO_PEOPLE or path.name.startswith(".") or (path.name.startswith("sub-") and path.is_dir()):
            continue
        if path.is_dir():
            for scan in [
                p for fits in ("anat/*", "ses-*/anat/*", "*") for p in sorted(path.glob(f"{fits}_{suffix}.nii*"))
            ]:
                person = entities_of(scan).get("sub", re.sub(r"^sub[\W_]*", "", path.name, flags=re.IGNORECASE))
                cause = f"its folder is called {path.name}, not sub-{person}"
                source.refuse(scan, cause, f"call the folder sub-{person}, and let its files' names begin so")
        elif path.name.endswith(tuple(f"_{suffix}{end}" for end in IMAGE_ENDINGS)):
            source.refuse(path, "it lies in no person's folder", "move it to sub-*/anat")


def _suffix(path: Path) -> str:
    return stem_of(path).rsplit("_", 1)[-1]
