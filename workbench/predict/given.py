"""What is named on the command line, as scans: files, folders of files, data sets of any known layout, and cohorts."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from workbench.cohort import load_cohort
from workbench.cohort.contrasts import CONTRASTED, contrast_of
from workbench.cohort.gather import gather
from workbench.cohort.layouts.layout import Options
from workbench.cohort.layouts.table import layout_of
from workbench.errors import ConfigError
from workbench.volumes.given import stem

Files = dict[str, Path | None]
"""Of one scan, by contrast; None where one after the first was not scanned."""
ENDINGS = (".nii", ".nii.gz")


def list_scans(given: Sequence[Path], contrasts: Sequence[str]) -> list[Files]:
    """The scans that are meant, in order.

    A file is a scan of the first contrast, and so are the NIfTI files directly in a folder; further contrasts lie
    beside it under the same name but for theirs (``sub-01_T1w.nii.gz``, ``sub-01_FLAIR.nii.gz``). A folder without such
    files and a table are read as ``cohort`` reads a data set; of a cohort its own scans are taken.

    Args:
        given: Files, folders, tables, cohort runs.
        contrasts: That the model takes.

    Raises:
        ConfigError: a folder holds no scans, or the contrasts cannot be told.
        WorkbenchError: a data set or a cohort cannot be read.
    """
    found: list[Files] = []
    for path in given:
        inside = _directly_in(path)
        if (path / "status.json").is_file():
            found += _of_cohort(path, contrasts)
        elif inside:
            found += _together(path, inside, contrasts)
        elif path.exists() and layout_of(path) is not None:
            found += _of_data_set(path, contrasts)
        elif path.is_dir():
            raise ConfigError(
                f"{path}: no NIfTI files in this folder",
                cause="it is no data set of a known layout either, and folders in it are not searched: they may hold "
                "labels and masks too",
                remedy=f"name the scans, for example {path}/sub-*/anat/*_T1w.nii.gz",
            )
        else:
            found.append(_beside(path, contrasts))
    return found


def _directly_in(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.name.lower().endswith(ENDINGS)) if path.is_dir() else []


def _together(folder: Path, files: list[Path], contrasts: Sequence[str]) -> list[Files]:
    if len(contrasts) == 1:
        return [{contrasts[0]: path} for path in files]
    first = [path for path in files if _named(path)[0] == contrasts[0]]
    if not first:
        raise ConfigError(
            f"{folder}: no {contrasts[0]} among its {len(files)} files",
            cause=f"the model takes {'+'.join(contrasts)}, and no name ends as in sub-01_{contrasts[0]}.nii.gz",
            remedy="let the names end in their contrast, or list the files in a table with a column a contrast",
        )
    return [_beside(path, contrasts) for path in first]


def _beside(path: Path, contrasts: Sequence[str]) -> Files:
    """A file with those of the further contrasts in its folder."""
    files: Files = {contrasts[0]: path}
    if len(contrasts) == 1 or not path.is_file():  # one that is not there is told of with all others
        return files | dict.fromkeys(contrasts[1:])
    contrast, name = _named(path)
    if contrast != contrasts[0]:
        raise ConfigError(
            f"{path}: its name does not say that it is {contrasts[0]}",
            cause=f"the model takes {'+'.join(contrasts)}, and the others are looked for beside the first, by name",
            remedy=f"name the files as sub-01_{contrasts[0]}.nii.gz, or list them in a table with a column a contrast",
        )
    there = _directly_in(path.parent)
    for wanted in contrasts[1:]:
        fits = [other for other in there if _named(other) == (wanted, name)]
        if len(fits) > 1:
            raise ConfigError(
                f"{path}: has several {wanted} beside it",
                cause=", ".join(other.name for other in fits),
                remedy="list the files in a table with a column a contrast (path_T1w, path_FLAIR …)",
            )
        files[wanted] = fits[0] if fits else None
    return files


def _named(path: Path) -> tuple[str | None, str]:
    """The contrast that a file's name says, and the name without it: ``sub-01_FLAIR.nii.gz`` → FLAIR, ``sub-01``."""
    if (match := re.fullmatch(r"(.+)[_-]([A-Za-z0-9]+)", stem(path))) is None:
        return None, stem(path)
    name, contrast = match[1], contrast_of(match[2])
    if contrast == "T1w" and (agent := re.search(r"_ce-[A-Za-z0-9]+", name)):  # as BIDS has it
        return CONTRASTED, name.replace(agent[0], "")
    return contrast, name


def _of_data_set(path: Path, contrasts: Sequence[str]) -> list[Files]:
    sources = gather([path], Options(contrast=contrasts[0]), tuple(contrasts[1:]))
    found: list[Files] = []
    for source in sources:
        for candidate in source.candidates:
            if candidate.volumes:
                raise ConfigError(
                    f"{candidate.path}: holds its contrasts in one 4D file",
                    cause="a model is given files of one contrast each",
                    remedy=f"make a cohort of it, which takes them apart, and give that: workbench cohort --sources "
                    f"{path} --contrast {' '.join(contrasts)} --out cohort",
                )
            found.append({contrasts[0]: candidate.path, **{c: candidate.channels.get(c) for c in contrasts[1:]}})
        told = [f"{row['kind']} {row['path']}: {row['cause']}" for row in source.set_aside if row["kind"] == "scan"]
        for line in (*told, *(str(remark) for remark in source.remarks if remark.kind == "unused")):
            print(f"not used: {line}", file=sys.stderr)
    return found


def _of_cohort(path: Path, contrasts: Sequence[str]) -> list[Files]:
    cohort = load_cohort(path)
    if lacking := [name for name in contrasts if name not in cohort.contrasts]:
        raise ConfigError(
            f"{path}: has no {' and no '.join(lacking)}",
            cause=f"it was made with --contrast {' '.join(cohort.contrasts)}; the model takes {'+'.join(contrasts)}",
            remedy="make the cohort with all of them",
        )
    further = cohort.table["channel_paths"] if "channel_paths" in cohort.table else ["[]"] * len(cohort.table)
    found, without = [], 0
    for first, others in zip(cohort.table["path"], further, strict=True):
        paths = [Path(one) if one else None for one in [first, *json.loads(others)]]
        every = dict(zip(cohort.contrasts, paths, strict=True))
        if every[contrasts[0]] is None:
            without += 1
        else:
            found.append({name: every[name] for name in contrasts})
    if without:
        print(f"not used: {without} scans of {path} have no {contrasts[0]}", file=sys.stderr)
    return found
