"""IXI as downloaded: `IXI012-HH-1211-T1.nii.gz` in a flat folder, and `IXI.xls`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from workbench.cohort.contrasts import contrast_of
from workbench.cohort.layouts import look
from workbench.cohort.layouts.layout import Layout, Options
from workbench.cohort.source import Candidate, Source, absolute, is_simulated

NAME = re.compile(
    r"(?P<person>IXI\d{3})-(?P<site>[A-Za-z]+)-(?P<number>\d+)-(?P<contrast>[A-Za-z0-9]+?)(-\d+)?\.nii(\.gz)?$"
)
SCAN = re.compile(r"IXI\d{3}-[A-Za-z]+-\d+-(T1|T2|PD|MRA)\.nii(\.gz)?$")
# of the three hospitals, as the data set's page describes them
SCANNERS = {"HH": "Philips Intera 3T", "Guys": "Philips Gyroscan Intera 1.5T", "IOP": "GE 1.5T"}


def read_ixi(root: Path, dataset: str, options: Options | None = None) -> Source:
    """List the scans of a contrast of an IXI download; the site is in the name, sex and age in ``IXI.xls``.

    The spreadsheet is looked for in ``root``, beside it and one folder down. Where two of its rows are about one
    person, what they agree on is taken.
    """
    source = Source(dataset)
    every = list(look.files(root, 2))
    found = [(path, match) for path in every if (match := NAME.match(path.name))]
    look.tell_strays((path for path in every if not NAME.match(path.name)), source)
    people = _people(root, source)
    simulated, contrast = is_simulated(root), options.contrast if options else "T1w"
    for path, match in found:
        if contrast_of(match["contrast"]) != contrast:
            continue
        values: dict[str, Any] = dict(people.get(match["person"], {}))
        values |= {"site": match["site"]}
        if scanner := SCANNERS.get(match["site"]):
            values["scanner"] = scanner
        source.candidates.append(
            Candidate(dataset, match["person"], absolute(path), values=values, simulated=simulated)
        )
    others = [match["contrast"] for _, match in found if contrast_of(match["contrast"]) != contrast]
    if others and (options is None or options.first):
        source.unused(f"scans of another contrast are not taken: {look.counted(others)}")
    scanned = {candidate.participant_id for candidate in source.candidates}
    if people and (unknown := scanned - set(people)):
        source.note(f"{len(unknown)} people are not in the spreadsheet: {look.few(unknown)}")
    if absent := set(people) - scanned:
        source.note(f"{len(absent)} people of the spreadsheet have no scan here: {look.few(absent)}")
    return source


def _people(root: Path, source: Source) -> dict[str, look.Row]:
    sheets = look.tables(root, "IXI*.xls", "IXI*.xlsx", "IXI*.csv")
    if not sheets:
        source.note("there is no IXI.xls, so sex and age are not known (site and scanner are in the names)")
        return {}
    source.note(f"sex and age are from {sheets[0]}")
    people, unclear = {}, {}
    rows = look.rows_of(sheets[0], source)
    for person, mine in look.by_key(rows, _person).items():
        people[person], unclear[person] = look.agreed(mine)
        people[person].pop("IXI_ID", None)
    look.tell_contradicting(unclear, source)
    return people


def _person(row: look.Row) -> str:
    """IXI_ID is a number in the spreadsheet (12), part of a name on disk (IXI012)."""
    given = re.fullmatch(r"(?:IXI)?0*(\d+)(?:\.0)?", look.value(row, "IXI_ID"))
    return f"IXI{int(given[1]):03d}" if given else ""


def _recognises(path: Path) -> bool:
    return path.is_dir() and look.any_file(path, SCAN, 1)


LAYOUT = Layout("IXI", "IXI012-HH-1211-T1.nii.gz, in the folder or one below", _recognises, read_ixi, contrasts=True)
