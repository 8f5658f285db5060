"""The job `cohort`: gather, check every scan, set aside what cannot be used, write one table."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from workbench.cohort.check import Checked, check
from workbench.cohort.cohort import OPTIONAL
from workbench.cohort.config import CohortConfig
from workbench.cohort.gather import gather
from workbench.cohort.labels import canonical_structure
from workbench.cohort.layouts.layout import Options
from workbench.cohort.report import report
from workbench.cohort.source import Candidate, Source, plain
from workbench.columns import column, written_by
from workbench.errors import WorkbenchError
from workbench.runs import Run, start_run
from workbench.runs.pool import KILLED, KILLED_REMEDY, available_cpus, in_processes

COLUMNS = written_by("cohort")
CHECKED = written_by("check")
SET_ASIDE = ["path", "dataset", "participant", "kind", "cause", "remedy"]
PLACES = [name for name in COLUMNS if column(name).type == "file"]  # where files lie is no property of the cohort


def run_cohort(config: CohortConfig, *, overwrite: bool = False) -> Run:
    """Write ``results/{scans,set_aside,labels}.parquet`` and print a report to stderr.

    The sources may have changed since, so the cohort is made anew each time, also where a finished run with the same
    settings is there. What is wrong with one scan never stops the others.

    Returns:
        The finished run; its provenance holds ``cohort_fingerprint``, ``n_scans``, ``n_participants``, ``notes`` and
        ``simulated``.

    Raises:
        WorkbenchError: a source cannot be read at all, or no scan can be used.
    """
    with start_run(config, overwrite=overwrite) as run:
        sources = gather(config.sources, Options(segmentations=config.segmentations))
        listed = [(source, candidate) for source in sources for candidate in source.candidates]
        checked = _check_all([candidate for _, candidate in listed], config.workers)
        rows = _usable(listed, checked)
        table, notes = _table(rows), [note for source in sources for note in source.notes]
        set_aside = pd.DataFrame([row for source in sources for row in source.set_aside], columns=SET_ASIDE, dtype=str)
        run.write_table("set_aside", set_aside)
        print(report(table, set_aside, notes), file=sys.stderr)
        if table.empty:
            raise WorkbenchError(
                "no scan can be used",
                cause=f"{len(set_aside)} set aside; see above",
                remedy=f"every cause is in {run.path}/results/set_aside.parquet",
            )
        run.write_table("scans", table)
        run.write_table("labels", _labels(sources))
        run.note(
            cohort_fingerprint=cohort_fingerprint(table),
            n_scans=len(table),
            n_participants=int(table["participant"].nunique()),
            notes=notes,
            simulated=bool(table["simulated"].any()),
        )
    return run


def cohort_fingerprint(table: pd.DataFrame) -> str:
    """BLAKE2b (128 bits) of a cohort's table without the places of its files: ids, people, columns, contents."""
    rows = table.drop(columns=PLACES).sort_values("scan_id").sort_index(axis=1)
    return hashlib.blake2b(rows.to_csv(index=False).encode(), digest_size=16).hexdigest()


def _check_all(candidates: list[Candidate], workers: int) -> list[Checked]:
    """Check every candidate, in order, in several processes where that is worth starting them."""
    files = [(c.path, c.seg_path, c.mask_path) for c in candidates]
    workers = max(1, min(workers or available_cpus(), len(files) // 8))
    done: dict[int, Checked] = {}
    items = in_processes(_check_numbered, enumerate(files), workers, lambda i: str(i[1][0]), lost=_killed)
    for number, checked in tqdm(items, total=len(files), desc="check scans", unit="scan", file=sys.stderr):
        done[number] = checked
    return [done[number] for number in range(len(files))]


Numbered = tuple[int, tuple[Path, Path | None, Path | None]]


def _check_numbered(item: Numbered) -> tuple[int, Checked]:
    return item[0], check(item[1])


def _killed(item: Numbered) -> tuple[int, Checked]:
    return item[0], Checked(problems=[("scan", str(item[1][0]), KILLED, KILLED_REMEDY)])


def _usable(listed: list[tuple[Source, Candidate]], checked: list[Checked]) -> list[dict[str, Any]]:
    """A row for each scan that can be used; everything else goes to its source's ``set_aside``."""
    rows: list[dict[str, Any]] = []
    ids: set[str] = set()
    contents: dict[str, str] = {}
    for (source, candidate), found in zip(listed, checked, strict=True):
        for kind, path, cause, remedy in found.problems:
            source.refuse(path, cause, remedy, participant_id=candidate.participant_id, kind=kind)
        if found.grid is None:
            continue
        if same := contents.get(found.fingerprint):
            source.refuse(
                candidate.path,
                f"the same file content as {same}",
                participant_id=candidate.participant_id,
                remedy="remove one: under two names a person could land on two sides of a split",
            )
            continue
        row = _row(candidate, found, ids)
        contents[found.fingerprint] = row["scan_id"]
        rows.append(row)
    return rows


def _row(candidate: Candidate, found: Checked, ids: set[str]) -> dict[str, Any]:
    assert found.grid is not None
    parts = (candidate.dataset, candidate.participant_id, candidate.session, candidate.entities)
    stem = scan_id = "_".join(plain(part) for part in parts if part)
    number = 2
    while scan_id in ids:
        scan_id, number = f"{stem}_{number}", number + 1
    ids.add(scan_id)
    (x, y, z), (sx, sy, sz) = found.grid.shape, found.grid.spacing
    return {
        "scan_id": scan_id,
        "participant": f"{candidate.dataset}/{candidate.participant_id}",
        "session": candidate.session,
        "dataset": candidate.dataset,
        "path": str(candidate.path),
        "seg_path": str(candidate.seg_path) if found.seg_fingerprint else None,
        "mask_path": str(candidate.mask_path) if found.mask_fingerprint else None,
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
    }


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Known columns first, the data sets' own between; a column of numbers becomes numeric, any other stays text."""
    own = list(dict.fromkeys(key for row in rows for key in row if key not in COLUMNS and key not in CHECKED))
    table = pd.DataFrame(rows, columns=[*COLUMNS, *own, *CHECKED])
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


def _labels(sources: list[Source]) -> pd.DataFrame:
    rows = [
        (source.dataset, code, name, canonical_structure(name)) for source in sources for code, name in source.labels
    ]
    return pd.DataFrame(rows, columns=["dataset", "code", "name", "structure"]).astype({"code": int})
