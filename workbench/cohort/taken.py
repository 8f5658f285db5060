"""From the candidates of all sources to the scans that can be used, one after another: what is done with goes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import partial

from tqdm.auto import tqdm

from workbench.cohort.apart import Found, Numbered, check_apart, check_shard
from workbench.cohort.check import Checked, Task, check
from workbench.cohort.config import CohortConfig
from workbench.cohort.match import few
from workbench.cohort.pictures import Pictures
from workbench.cohort.rows import Rows
from workbench.cohort.seen import Seen, mirrored, sided
from workbench.cohort.source import Candidate, Source, plain
from workbench.runs import Run
from workbench.runs.pool import KILLED, KILLED_REMEDY, available_cpus, in_processes
from workbench.runs.spread import shard

Read = tuple[Source, Candidate, Checked]


def take(sources: list[Source], config: CohortConfig, run: Run, pictures: Pictures) -> tuple[Rows, list[Seen]]:
    """Check every candidate, and keep those that can be used; everything else goes to its source's ``set_aside``.

    The candidates of ``sources`` are gone after it.

    Args:
        sources: All of them, with their people settled.
        config: Of the job.
        run: Its folder ``volumes`` gets the volumes that have to be written.
        pictures: Gets a row for each scan that is kept, in the order of the table.

    Returns:
        The rows of the table, and what the voxels showed, a source with scans each.
    """
    rows, seen, places = Rows(config.contrast), dict[int, Seen](), list[int]()
    for source, candidate, found, scan_id in _usable(_read_all(sources, config, run, pictures), rows, config):
        seen.setdefault(id(source), Seen(source)).add(found, scan_id, len(rows))
        places.append(found.picture_place)
        rows.add(candidate, found, scan_id)
    pictures.choose(places)
    return rows, list(seen.values())


def _read_all(sources: list[Source], config: CohortConfig, run: Run, pictures: Pictures) -> Iterator[Read]:
    """Every candidate with what reading it showed, in order, in several processes where that is worth starting them."""
    total = sum(len(source.candidates) for source in sources)
    check_all = partial(_check_all, config)
    listed = ((number, task) for number, _, _, task in _tasks(sources, config, run, keep=True))
    if (mine := shard()) is not None:
        check_shard(run, mine, listed, check_all)
    apart = check_apart(run, listed, config) if config.executor != "here" else None
    in_work: dict[int, tuple[Source, Candidate]] = {}
    read: dict[int, Checked] = {}  # before its turn
    turn = 0

    def tasks() -> Iterator[Numbered]:
        for number, source, candidate, task in _tasks(sources, config, run):
            in_work[number] = source, candidate
            yield number, task

    waiting = tasks()
    for number, found in check_all(waiting, total) if apart is None else apart:
        if found.picture:
            found.picture, found.picture_place = b"", pictures.add(found.picture)
        read[number] = found
        while turn in read:
            if apart is not None:
                next(waiting)
            source, candidate = in_work.pop(turn)
            yield source, candidate, read.pop(turn)
            turn += 1


def _check_all(config: CohortConfig, tasks: Iterable[Numbered], total: int) -> Iterator[Found]:
    """Some scans, as they come, with their numbers."""
    workers = max(1, min(config.workers or available_cpus(), total // 8))
    of_shard = shard() is not None  # else a scan that kills its process would end the shard, each time again
    items = in_processes(_check_numbered, tasks, workers, lambda item: str(item[1].path), lost=_killed, apart=of_shard)
    yield from tqdm(items, total=total, desc="check scans", unit="scan", file=sys.stderr)


def _tasks(
    sources: list[Source], config: CohortConfig, run: Run, *, keep: bool = False
) -> Iterator[tuple[int, Source, Candidate, Task]]:
    """Every candidate with its place among all and what is to be done with it. If they are not to be kept, the sources
    have lost each by the time it comes."""
    names: dict[str, int] = {}
    number = 0
    for source in sources:
        waiting = source.candidates[::-1]
        if not keep:
            source.candidates = []
        while waiting:
            candidate = waiting.pop()
            stem = _stem(candidate)
            names[stem] = names.get(stem, 0) + 1
            name = stem if names[stem] == 1 else f"{stem}_{names[stem]}"
            task = Task.of(candidate, run.path / "volumes" / name, config.resample_labels)
            yield number, source, candidate, task
            number += 1


def _check_numbered(item: Numbered) -> Found:
    return item[0], check(item[1])


def _killed(item: Numbered) -> Found:
    return item[0], Checked(problems=[("scan", str(item[1].path), KILLED, KILLED_REMEDY)])


def _usable(read: Iterator[Read], rows: Rows, config: CohortConfig) -> Iterator[tuple[Source, Candidate, Checked, str]]:
    """The scans that can be used, each with its id. ``rows`` holds those that came before."""
    ids: set[str] = set()
    contents: dict[str, int] = {}  # fingerprint → its row
    pairs: dict[int, list[tuple[int, int]]] = {}
    lacking: dict[str, list[tuple[Source, str]]] = {name: [] for name in config.contrast[1:]}
    for source, candidate, found in read:
        for kind, path, cause, remedy in found.problems:
            source.refuse(path, cause, remedy, participant_id=candidate.participant_id, kind=kind)
        if found.grid is None:
            continue
        if (row := contents.get(found.fingerprint)) is not None:
            source.refuse(
                candidate.path,
                f"the same file content as {rows.text('scan_id', row)}",
                participant_id=candidate.participant_id,
                remedy="remove one: under two names a person could land on two sides of a split",
            )
            if (other := rows.text("participant", row)) != candidate.person:
                both = f"{other} and of {candidate.person}"
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
                lacking[name].append((source, candidate.participant_id))
        if id(source) not in pairs:
            pairs[id(source)] = sided(source.labels)
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
        contents[found.fingerprint] = len(rows)
        yield source, candidate, found, _scan_id(candidate, ids)
    _tell_lacking(lacking)


def _tell_lacking(lacking: dict[str, list[tuple[Source, str]]]) -> None:
    for name, scans in lacking.items():
        for source in {id(source): source for source, _ in scans}.values():
            people = [person for one, person in scans if one is source]
            source.note(
                f"{len(people)} scans of {len(set(people))} people have no {name}, zeros stand in its place: "
                + few(list(dict.fromkeys(people)), 8)
            )


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
