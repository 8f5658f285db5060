"""The job `cohort`: gather, decide who is who, check every scan, set aside what cannot be used, write one table."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from workbench.cohort.check import Checked, Task, check
from workbench.cohort.cohort import OPTIONAL
from workbench.cohort.config import CohortConfig
from workbench.cohort.contrasts import USUAL
from workbench.cohort.gather import gather
from workbench.cohort.identity import Same, settle
from workbench.cohort.labels import canonical_structure
from workbench.cohort.layouts.layout import Options
from workbench.cohort.match import few
from workbench.cohort.page import write_page
from workbench.cohort.pictures import Pictures
from workbench.cohort.seen import mirrored, sided, tell_checked
from workbench.cohort.source import Candidate, Remark, Source, plain
from workbench.cohort.summary import report
from workbench.columns import column, written_by
from workbench.errors import WorkbenchError
from workbench.runs import Run, start_run
from workbench.runs.pool import KILLED, KILLED_REMEDY, available_cpus, in_processes

COLUMNS = written_by("cohort")
CHECKED = written_by("check")
CHANNELS = written_by("channels")  # only where another contrast than T1w, or several, were asked for
SET_ASIDE = ["path", "dataset", "participant", "kind", "cause", "remedy"]
PLACES = [
    name for name in (*COLUMNS, *CHANNELS) if column(name).type == "file"
]  # where files lie is no property of the cohort
LABELS = ["dataset", "code", "name", "structure", "scans"]

Listed = tuple[Source, Candidate]


def run_cohort(config: CohortConfig, *, overwrite: bool = False) -> Run:
    """Write ``results/{scans,set_aside,labels,notes}.parquet`` and ``report.html``, and print the report to stderr.

    The sources may have changed since, so the cohort is made anew each time, also where a finished run with the same
    settings is there. What is wrong with one scan never stops the others. Segmentations that had to be put together
    from several files, turned or resampled are written to ``volumes/``, on their scan's grid, and so are the volumes
    that were taken out of 4D files.

    Returns:
        The finished run; its provenance holds ``cohort_fingerprint``, ``n_scans``, ``n_participants``, ``notes`` and
        ``simulated``.

    Raises:
        WorkbenchError: a source cannot be read at all, no scan can be used, or (``strict``) something was guessed.
    """
    # before the folder is made: what is wrong with the sources must not hold the place of the run that comes after
    first, *others = config.contrast
    sources = gather(config.sources, Options(segmentations=config.segmentations, contrast=first), tuple(others))
    people = True if config.same_people else False if config.different_people else None
    across = settle(sources, Same(people=people, sites=config.same_sites, by_dataset=config.sites == "dataset"))
    if config.strict:
        _refuse_guesses(_remarks(sources, across))
    with start_run(config, overwrite=overwrite) as run, Pictures(run.path) as pictures:
        listed = [(source, candidate) for source in sources for candidate in source.candidates]
        checked = _check_all([candidate for _, candidate in listed], config, run.path / "volumes", pictures)
        kept = _usable(listed, checked, config)
        table = _table(_row(candidate, found, scan_id, config.contrast) for _, candidate, found, scan_id in kept)
        labels = pd.DataFrame(_labels(sources), columns=LABELS).astype({"code": int, "scans": int})
        across += tell_checked(kept, table, labels, pictures)
        del listed, checked, kept  # from here on the table says it all, and of a large cohort the lists weigh more
        for source in sources:
            source.candidates.clear()
        set_aside = pd.DataFrame([row for source in sources for row in source.set_aside], columns=SET_ASIDE, dtype=str)
        remarks = _remarks(sources, across)
        notes = pd.DataFrame([vars(remark) for remark in remarks], columns=["kind", "dataset", "text"], dtype=str)
        run.write_table("set_aside", set_aside)
        run.write_table("notes", notes)
        print(report(table, set_aside, remarks), file=sys.stderr)
        if table.empty:
            raise WorkbenchError(
                "no scan can be used",
                cause=f"{len(set_aside)} set aside; see above",
                remedy=f"every cause is in {run.path}/results/set_aside.parquet",
            )
        if config.strict:
            _refuse_guesses(remarks)
        run.write_table("scans", table)
        run.write_table("labels", labels)
        print(f"the same with pictures: {write_page(run.path, table, set_aside, remarks)}", file=sys.stderr)
        run.note(
            cohort_fingerprint=cohort_fingerprint(table),
            n_scans=len(table),
            n_participants=int(table["participant"].nunique()),
            notes=[str(remark) for remark in remarks],
            simulated=bool(table["simulated"].any()),
        )
    return run


def cohort_fingerprint(table: pd.DataFrame) -> str:
    """BLAKE2b (128 bits) of a cohort's table without the places of its files: ids, people, columns, contents."""
    # what a segmentation lacks is in its own fingerprint
    rows = table.drop(columns=[*PLACES, "seg_lacks"], errors="ignore").sort_values("scan_id").sort_index(axis=1)
    digest = hashlib.blake2b(digest_size=16)
    for at in range(0, max(1, len(rows)), 1000):  # the same bytes as in one, without a second table as text
        digest.update(rows.iloc[at : at + 1000].to_csv(index=False, header=at == 0).encode())
    return digest.hexdigest()


def _remarks(sources: list[Source], across: list[Remark]) -> list[Remark]:
    return [*across, *(remark for source in sources for remark in source.remarks)]


def _refuse_guesses(remarks: list[Remark]) -> None:
    if guesses := [str(remark) for remark in remarks if remark.kind == "guess"]:
        raise WorkbenchError(
            f"{len(guesses)} things would have to be guessed, and --strict forbids it",
            cause="\n          ".join(guesses),
            remedy="say them in the data sets' tables and settings, or leave --strict out",
        )


def _check_all(candidates: list[Candidate], config: CohortConfig, folder: Path, pictures: Pictures) -> list[Checked]:
    """Check every candidate, in order, in several processes where that is worth starting them."""
    workers = max(1, min(config.workers or available_cpus(), len(candidates) // 8))
    tasks = enumerate(_tasks(candidates, config, folder))
    done: dict[int, Checked] = {}
    items = in_processes(_check_numbered, tasks, workers, lambda item: str(item[1].path), lost=_killed)
    for number, checked in tqdm(items, total=len(candidates), desc="check scans", unit="scan", file=sys.stderr):
        if checked.picture:
            checked.picture, checked.picture_place = b"", pictures.add(checked.picture)
        done[number] = checked
    return [done[number] for number in range(len(candidates))]


def _tasks(candidates: list[Candidate], config: CohortConfig, folder: Path) -> Iterator[Task]:
    names: dict[str, int] = {}
    for candidate in candidates:
        stem = _stem(candidate)
        names[stem] = names.get(stem, 0) + 1
        name = stem if names[stem] == 1 else f"{stem}_{names[stem]}"
        yield Task.of(candidate, folder / name, config.resample_labels)


Numbered = tuple[int, Task]


def _check_numbered(item: Numbered) -> tuple[int, Checked]:
    return item[0], check(item[1])


def _killed(item: Numbered) -> tuple[int, Checked]:
    return item[0], Checked(problems=[("scan", str(item[1].path), KILLED, KILLED_REMEDY)])


Kept = tuple[Source, Candidate, Checked, str]


def _usable(listed: list[Listed], checked: list[Checked], config: CohortConfig) -> list[Kept]:
    """The scans that can be used, each with its id; everything else goes to its source's ``set_aside``."""
    kept: list[Kept] = []
    lacking: dict[int, dict[str, list[str]]] = {}
    ids: set[str] = set()
    contents: dict[str, int] = {}  # fingerprint → which of those kept
    pairs = {id(source): sided(source.labels) for source, _ in listed}
    for (source, candidate), found in zip(listed, checked, strict=True):
        for kind, path, cause, remedy in found.problems:
            source.refuse(path, cause, remedy, participant_id=candidate.participant_id, kind=kind)
        if found.grid is None:
            continue
        if found.fingerprint in contents:
            _, other, _, same = kept[contents[found.fingerprint]]
            source.refuse(
                candidate.path,
                f"the same file content as {same}",
                participant_id=candidate.participant_id,
                remedy="remove one: under two names a person could land on two sides of a split",
            )
            if other.person != candidate.person:
                both = f"{other.person} and of {candidate.person}"
                source.guess(f"one file is the scan of {both}: it is taken for the first's")
            continue
        if missing := [name for name in config.contrast[1:] if name not in found.channels]:
            if config.missing_channel == "drop":
                source.refuse(
                    candidate.path,
                    f"its session has no {' and no '.join(missing)} that can be used",
                    "--missing_channel zero keeps it, with zeros in their place",
                    participant_id=candidate.participant_id,
                )
                continue
            for name in missing:
                lacking.setdefault(id(source), {}).setdefault(name, []).append(candidate.participant_id)
        scan_id = _scan_id(candidate, ids)
        contents[found.fingerprint] = len(kept)
        if found.seg_path and (why := mirrored(pairs[id(source)], found)):
            source.refuse(
                found.seg_path,
                why,
                "find out which is wrong, the names or the header; a mirrored label would be learnt",
                participant_id=candidate.participant_id,
                kind="segmentation",
            )
            found.seg_path = found.seg_fingerprint = None
            found.codes = found.codes[:0]
        kept.append((source, candidate, found, scan_id))
    for source in {id(source): source for source, _ in listed}.values():
        for name, people in lacking.get(id(source), {}).items():
            source.note(
                f"{len(people)} scans of {len(set(people))} people have no {name}, zeros stand in its place: "
                + few(list(dict.fromkeys(people)), 8)
            )
    return kept


def _stem(candidate: Candidate) -> str:
    parts = (candidate.dataset, candidate.participant_id, candidate.session, candidate.entities)
    return "_".join(plain(part) for part in parts if part)


def _scan_id(candidate: Candidate, ids: set[str]) -> str:
    stem = scan_id = _stem(candidate)
    number = 2
    while scan_id in ids:
        scan_id, number = f"{stem}_{number}", number + 1
    ids.add(scan_id)
    return scan_id


def _row(candidate: Candidate, found: Checked, scan_id: str, contrasts: tuple[str, ...]) -> dict[str, Any]:
    assert found.grid is not None
    several: dict[str, Any] = {}
    if contrasts != USUAL:
        paths = {**candidate.channels, **found.written}
        files = [str(paths[name]) if name in found.channels else None for name in contrasts[1:]]
        several = {
            "channels": "+".join(contrasts),
            "channels_missing": "+".join(name for name in contrasts[1:] if name not in found.channels),
            "channel_paths": json.dumps(files),
            "channel_fingerprints": json.dumps([found.channels.get(name) for name in contrasts[1:]]),
        }
    (x, y, z), (sx, sy, sz) = found.grid.shape, found.grid.spacing
    return {
        "scan_id": scan_id,
        "participant": candidate.person,
        "session": candidate.session,
        "dataset": candidate.dataset,
        "path": str(found.written.get("", candidate.path)),
        "seg_path": str(found.seg_path) if found.seg_path else None,
        "mask_path": str(found.mask_path) if found.mask_path else None,
        **candidate.values,
        "simulated": candidate.simulated,
        "x": x,
        "y": y,
        "z": z,
        "sx": round(sx, 6),
        "sy": round(sy, 6),
        "sz": round(sz, 6),
        "axcodes": found.grid.axcodes,
        "fingerprint": found.fingerprint,
        "seg_fingerprint": found.seg_fingerprint,
        "mask_fingerprint": found.mask_fingerprint,
        **several,
    }


def _table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Known columns first, the data sets' own between; a column of numbers becomes numeric, any other stays text."""
    columns: dict[str, list[Any]] = {}
    n = 0
    for row in rows:  # into columns at once: of a large cohort the rows' dicts would weigh more than what they hold
        for name, value in row.items():
            told = columns.setdefault(name, [])
            told += [None] * (n - len(told)) + [value]
        n += 1
    ours = [*COLUMNS, *CHECKED, *CHANNELS]
    own = [name for name in columns if name not in ours]
    several = CHANNELS if "channels" in columns else []
    table = pd.DataFrame(
        {
            name: (told := columns.pop(name, [])) + [None] * (n - len(told))
            for name in [*COLUMNS, *own, *CHECKED, *several]
        }
    )
    for name in own:
        values = table[name].dropna().astype(str)
        # "007" is a name, not a number
        if len(values) and values.map(lambda v: bool(re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE]-?\d+)?", v))).all():
            table[name] = pd.to_numeric(table[name])
        else:
            table[name] = table[name].astype(object).where(table[name].notna(), None)
    for name in OPTIONAL:
        table[name] = table[name].astype(object).where(table[name].notna(), None)
    table["age"] = table["age"].astype(float)
    table["simulated"] = table["simulated"].astype(bool)
    return table


def _labels(sources: list[Source]) -> list[tuple[str, int, str, str, int]]:
    return [
        (source.dataset, code, name, canonical_structure(name), 0) for source in sources for code, name in source.labels
    ]
