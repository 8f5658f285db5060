"""BraTS 2018 to 2024: a folder a case, a file a contrast, the tumour beside them."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from workbench.cohort.contrasts import contrast_of
from workbench.cohort.layouts import look
from workbench.cohort.layouts.layout import Layout, Options
from workbench.cohort.source import Candidate, Source, absolute, is_simulated

# BraTS20_Training_001_t1.nii, BraTS2021_00000_t1.nii.gz, BraTS19_CBICA_AAB_1_t1.nii.gz
OLD = re.compile(r"(?P<case>Brats\d{2,4}_.+)_(?P<contrast>t1|t1ce|t1c|t2|flair|seg)\.nii(\.gz)?$", re.IGNORECASE)
# BraTS-GLI-00005-100-t1n.nii.gz: the last number is the time point of the person before it; BraTS-GoAT has none
NEW = re.compile(
    r"(?P<case>BraTS-(?P<kind>[A-Za-z-]+?)-(?P<number>\d+)(?:-(?P<time>\d+))?)[-_]"
    r"(?P<contrast>t1n|t1c|t2w|t2f|seg|gtv)\.nii(\.gz)?$",
    re.IGNORECASE,
)
LABELS = {"seg", "gtv"}
# of the challenge's papers; 4 was enhancing tumour until 2021, 3 since 2023, when 4 (2024) became the resection cavity
UNTIL_2021 = [(1, "Necrotic tumor core"), (2, "Peritumoral edema"), (4, "Enhancing tumor")]
SINCE_2023 = [
    (1, "Non-enhancing tumor core"),
    (2, "Surrounding FLAIR hyperintensity"),
    (3, "Enhancing tumor"),
    (4, "Resection cavity"),
]


def read_brats(root: Path, dataset: str, options: Options | None = None) -> Source:
    """List the native T1w scan of every case, or another contrast, with its tumour labels.

    From 2023 on a name says who it is: ``BraTS-GLI-00005-100`` and ``-101`` are one person at two times. Before, a
    case counts as a person. 2018 to 2020 name the place a case came from, in the name or in ``name_mapping.csv``.
    """
    source, contrast = Source(dataset, absent_is_none=True), options.contrast if options else "T1w"
    cases: dict[tuple[str, str], dict[str, Path]] = defaultdict(dict)
    matches: dict[tuple[str, str], re.Match[str]] = {}
    strays: list[Path] = []
    for path in look.files(root, 4):
        if match := NEW.match(path.name) or OLD.match(path.name):
            where = (str(path.parent), match["case"])
            cases[where][match["contrast"].lower()] = path
            matches[where] = match
        else:
            strays.append(path)
    look.tell_strays(strays, source)
    facts, simulated, without = _facts(root, source), is_simulated(root), []
    old_codes = new_codes = False
    for where, contrasts in sorted(cases.items()):
        match = matches[where]
        scan = next((contrasts[name] for name in sorted(contrasts) if contrast_of(name) == contrast), None)
        if scan is None:
            without.append(match["case"])
            continue
        new = match.re is NEW
        person = f"BraTS-{match['kind']}-{match['number']}" if new else match["case"]
        seg = next((contrasts[name] for name in sorted(LABELS & set(contrasts))), None)
        old_codes, new_codes = old_codes or bool(seg and not new), new_codes or bool(seg and new)
        values: dict[str, Any] = dict(facts.get(match["case"].lower(), {}))
        if place := _place(match["case"]) or _place(values.get("BraTS_2019_subject_ID", "")):
            values["site"] = place
        source.candidates.append(
            Candidate(
                dataset,
                person,
                absolute(scan),
                session=(match["time"] or "") if new else "",
                seg_path=absolute(seg) if seg else None,
                values=values,
                simulated=simulated,
            )
        )
    if without:
        said = "native T1w" if contrast == "T1w" else contrast
        source.unused(f"{len(without)} cases have no {said} and are not taken: {look.few(without)}")
    _tell(source, old_codes, new_codes)
    return source


def _tell(source: Source, old_codes: bool, new_codes: bool) -> None:
    if old_codes and new_codes:
        source.note(
            "codes of the tumour changed between 2021 and 2023: labels are left out; give each year as a source"
        )
        for candidate in source.candidates:
            candidate.seg_path = None
    elif old_codes or new_codes:
        source.labels = UNTIL_2021 if old_codes else SINCE_2023
    if any(not candidate.session for candidate in source.candidates):
        source.note(
            "a case without a time (until 2021, and GoAT) counts as a person: BraTS does not say who came twice. A "
            "person may stand in several years under other names (name_mapping.csv says of some)"
        )


def _facts(root: Path, source: Source) -> dict[str, look.Row]:
    """Age, grade and the names of other years by case (lower case), from the tables of 2018 to 2020."""
    facts: dict[str, look.Row] = defaultdict(dict)
    for path in look.tables(root, "survival_info*.csv", "survival_data*.csv", "name_mapping*.csv"):
        for row in look.rows_of(path, source):
            for name in [name for name in row if re.fullmatch(r"brats.*id", name, re.IGNORECASE)]:
                facts[str(row[name]).lower()] |= row
        source.note(f"columns by case are from {path}")
    return dict(facts)


def _place(case: str) -> str:
    """CBICA of ``BraTS19_CBICA_AAB_1``, TCIA01 of ``BraTS19_TCIA01_147_1``; "" where the name says no place."""
    match = re.match(r"Brats\d{2}_(CBICA|TCIA\d*|TMC|2013|UAB|WashU|MDA)_", case, re.IGNORECASE)
    return match[1] if match else ""


def _recognises(path: Path) -> bool:
    return path.is_dir() and (look.any_file(path, NEW, 3, 200) or look.any_file(path, OLD, 3, 200))


LAYOUT = Layout(
    "BraTS",
    "BraTS-GLI-00005-100-t1n.nii.gz or BraTS20_Training_001_t1.nii, a folder a case",
    _recognises,
    read_brats,
    contrasts=True,
)
