"""From the folders and tables that a user names to one list of sources with names that do not clash."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from workbench.cohort.channels import add_channels, require_readable
from workbench.cohort.demographics import standardise
from workbench.cohort.layouts import bids, near, openmind
from workbench.cohort.layouts.layout import Options
from workbench.cohort.layouts.table import LAYOUTS, layout_of
from workbench.cohort.sheets import ENDINGS as SHEETS
from workbench.cohort.source import DESCRIPTION, Source, absolute, plain, read_json
from workbench.errors import ConfigError, WorkbenchError
from workbench.runs.texts import is_text, printable


def gather(paths: list[Path], options: Options | None = None, further: tuple[str, ...] = ()) -> list[Source]:
    """Read every source by its layout, and give its people the columns of a cohort.

    Args:
        paths: Folders and tables.
        options: What the user asks for.
        further: Contrasts to be found beside that of ``options``.

    Raises:
        WorkbenchError: a source does not exist, is of no known layout, or holds no scan.
        ConfigError: a source is given twice.
    """
    options = options or Options()
    paths = [absolute(Path(path).expanduser()) for path in paths]
    for path in paths:
        _require(path)  # before links are followed: one that goes round cannot be
    if twice := [str(path) for path, n in Counter(path.resolve() for path in paths).items() if n > 1]:
        raise ConfigError("a source is given twice", cause=", ".join(twice), remedy="name each source once")
    there = {folder.name for path in paths for folder in (*path.glob("derivatives/*/"), path)}
    wanted = (options.segmentations or "").partition("/")[0]
    if wanted and wanted not in there:
        raise ConfigError(
            f"segmentations: no source has a folder derivatives/{wanted}",
            cause=f"there are: {', '.join(sorted(there)) or 'none'}",
            remedy="choose one that is there, or leave the setting out",
        )
    roots = {path: near.members(path, LAYOUTS, bids.LAYOUT) for path in paths}
    every = [one for path in paths for one in roots[path] or [path]]
    names = dict(zip(every, dataset_names(every), strict=True))
    return [
        source
        for path in paths
        for source in (
            _read_many(path, {one: names[one] for one in roots[path]}, options, further)
            if roots[path]
            else [read_source(path, names[path], options, further)]
        )
    ]


def dataset_names(paths: list[Path]) -> list[str]:
    """The folder's (or table's) name; where two are the same, with as many parent folders as tell them apart."""
    parts = [
        (*path.parts[1:-1], path.stem if path.suffix in (".csv", ".tsv", *SHEETS) else path.name) for path in paths
    ]
    short = [plain(p[-1]) for p in parts]
    for depth in range(1, max(map(len, parts)) + 1):
        names = [plain("-".join(p[-depth:])) if short.count(s) > 1 else s for p, s in zip(parts, short, strict=True)]
        if len(set(names)) == len(names):
            return names
    raise ConfigError("two sources have the same name", cause=", ".join(map(str, paths)), remedy="rename one of them")


def read_source(path: Path, name: str, options: Options | None = None, further: tuple[str, ...] = ()) -> Source:
    """One source, read by its layout, with the columns of a cohort."""
    source = _read(path, name, options, further)
    standardise(source)
    return source


def _require(path: Path) -> None:
    if not is_text(str(path)):
        raise WorkbenchError(
            f"{printable(path)}: cannot be used", cause="its name is not UTF-8", remedy="rename it, as with convmv"
        )
    if not path.exists():
        broken = path.is_symlink()
        raise WorkbenchError(
            f"{path}: no such folder or table",
            cause="it is a link to something that is not there, or to itself" if broken else "nothing is there",
            remedy="repair the link" if broken else "check the path",
        )


def _read(path: Path, name: str, options: Options | None, further: tuple[str, ...]) -> Source:
    _require(path)
    layout = layout_of(path)
    if layout is None:
        raise near.refuse(path, LAYOUTS)
    options = options or Options()
    require_readable(layout, path, (options.contrast, *further))
    source = layout.read(path, name, options)
    add_channels(source, layout, path, options, further)
    source.root = path if path.is_dir() else None
    _leave_out_unwritable(source)
    unread: dict[Path, str] = {}
    read_json(path / DESCRIPTION, unread)
    for cause in unread.values():
        source.guess(f"{DESCRIPTION} cannot be read ({cause}): the scans are taken as real ones, not simulated")
    if not source.candidates and not source.set_aside:
        raise WorkbenchError(
            f"{path}: no {options.contrast} scan found",
            cause="; ".join(source.notes) or f"it looks like {layout.name}: {layout.known_by}",
            remedy="give the folder that holds the scans, or list them in a CSV",
        )
    return source


def _leave_out_unwritable(source: Source) -> None:
    """Set aside what lies under a name that no table can hold, as old programs and other systems write them."""
    kept = []
    for one in source.candidates:
        parts = [part.path for part in one.seg_parts]
        paths = [one.path, one.seg_path, one.mask_path, *parts, *one.channels.values()]
        if bad := next((path for path in paths if path is not None and not is_text(str(path))), None):
            source.refuse(
                one.path,
                f"the name {printable(bad.name)} or that of its folder is not UTF-8",
                "rename it, as with convmv -f latin1 -t utf8 -r",
                participant_id=printable(one.participant_id),
            )
        else:
            kept.append(one)
    source.candidates = kept


def _read_many(root: Path, names: dict[Path, str], options: Options | None, further: tuple[str, ...]) -> list[Source]:
    """The data sets in ``root``; one that holds no scan says so and does not stop the others."""
    sources, errors = [], []
    for path, name in names.items():
        try:
            sources.append(_read(path, name, options, further))
        except WorkbenchError as error:
            errors.append(error)
            sources.append(Source(name))
            sources[-1].unused(f"not used: {error.what} ({error.cause})")
    if len(errors) == len(sources):
        raise errors[0]
    openmind.describe(root, sources)
    for source in sources:
        standardise(source)
    return sources
