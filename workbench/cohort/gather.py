"""From the folders and tables that a user names to one list of sources with names that do not clash."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from workbench.cohort.bids import read_bids
from workbench.cohort.csv_table import read_csv
from workbench.cohort.decathlon import read_decathlon
from workbench.cohort.source import Source, absolute, plain
from workbench.errors import ConfigError, WorkbenchError


def gather(paths: list[Path], *, segmentations: str | None = None) -> list[Source]:
    """Read every source; the kind (BIDS, Decathlon, CSV) is told by what is there.

    Raises:
        WorkbenchError: a source does not exist, is none of the three kinds, or holds no scan.
        ConfigError: a source is given twice.
    """
    paths = [absolute(Path(path).expanduser()) for path in paths]
    if twice := [str(path) for path, n in Counter(path.resolve() for path in paths).items() if n > 1]:
        raise ConfigError("a source is given twice", cause=", ".join(twice), remedy="name each source once")
    there = {folder.name for path in paths for folder in path.glob("derivatives/*/")}
    if segmentations and segmentations not in there:
        raise ConfigError(
            f"segmentations: no source has a folder derivatives/{segmentations}",
            cause=f"there are: {', '.join(sorted(there)) or 'none'}",
            remedy="choose one that is there, or leave the setting out",
        )
    return [_read(path, name, segmentations) for path, name in zip(paths, dataset_names(paths), strict=True)]


def dataset_names(paths: list[Path]) -> list[str]:
    """The folder's (or table's) name; where two are the same, with as many parent folders as tell them apart."""
    parts = [(*path.parts[1:-1], path.stem if path.suffix in (".csv", ".tsv") else path.name) for path in paths]
    short = [plain(p[-1]) for p in parts]
    for depth in range(1, max(map(len, parts)) + 1):
        names = [plain("-".join(p[-depth:])) if short.count(s) > 1 else s for p, s in zip(parts, short, strict=True)]
        if len(set(names)) == len(names):
            return names
    raise ConfigError("two sources have the same name", cause=", ".join(map(str, paths)), remedy="rename one of them")


def _read(path: Path, name: str, segmentations: str | None) -> Source:
    if path.is_file() and path.suffix in (".csv", ".tsv"):
        return read_csv(path, name)
    if (path / "dataset.json").is_file():
        return read_decathlon(path, name)
    if path.is_dir():
        return read_bids(path, name, prefer=segmentations)
    if path.is_file():
        raise WorkbenchError(
            f"{path}: not a source of scans",
            cause="it is a file, but no .csv or .tsv",
            remedy="give a folder, or a table that lists the scans",
        )
    raise WorkbenchError(f"{path}: no such folder or table", cause="nothing is there", remedy="check the path")
