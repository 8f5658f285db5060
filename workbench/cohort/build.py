"""The job `cohort`: gather, decide who is who, check every scan, set aside what cannot be used, write one table."""

from __future__ import annotations

import hashlib
import sys

import pandas as pd

from workbench.cohort.apart import clear
from workbench.cohort.config import CohortConfig
from workbench.cohort.gather import gather
from workbench.cohort.identity import Same, settle
from workbench.cohort.labels import canonical_structure
from workbench.cohort.layouts.layout import Options
from workbench.cohort.page import write_page
from workbench.cohort.pictures import Pictures
from workbench.cohort.rows import CHANNELS, COLUMNS
from workbench.cohort.seen import near_duplicates
from workbench.cohort.source import Remark, Source
from workbench.cohort.summary import report
from workbench.cohort.taken import take
from workbench.columns import column
from workbench.errors import WorkbenchError
from workbench.runs import Run, start_run
from workbench.runs.spread import shard
from workbench.runs.tables import plain_memory

SET_ASIDE = ["path", "dataset", "participant", "kind", "cause", "remedy"]
PLACES = [name for name in (*COLUMNS, *CHANNELS) if column(name).type == "file"]  # where files lie is no property of it
LABELS = ["dataset", "code", "name", "structure", "scans"]


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
    with start_run(config, overwrite=overwrite) as run, Pictures(run.path) as pictures, plain_memory():
        if config.executor == "here" and shard() is None:
            clear(run)
        rows, seen = take(sources, config, run, pictures)
        table = rows.table()
        labels = pd.DataFrame(_labels(sources), columns=LABELS).astype({"code": int, "scans": int})
        for one in seen:
            one.tell(table, labels)
        across += near_duplicates(table, pictures)
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
        clear(run)
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


def _labels(sources: list[Source]) -> list[tuple[str, int, str, str, int]]:
    return [
        (source.dataset, code, name, canonical_structure(name), 0) for source in sources for code, name in source.labels
    ]
