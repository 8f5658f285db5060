"""Where the derivatives of a scan lie, and what a derivative data set says of itself."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import workbench
from workbench.cohort.source import Candidate
from workbench.runs.folder import replacing

NAME = "volta"  # of the pipeline, in `desc-` and as the folder below `derivatives/`
BIDS_VERSION = "1.10.0"
# BIDS has no name yet for maps of attention and for embeddings, and reports are no data
IGNORED = ("*_map.nii.gz", "*_map.json", "*_embedding.tsv", "*_embedding.json", "*.html", "group_*.tsv")


def stem(scan: Candidate) -> str:
    """``sub-01_ses-1_acq-mprage``: the name of the scan without its ending; ``desc`` and ``space`` are of the scan."""
    kept = [part for part in scan.entities.split("_") if part and part.split("-")[0] not in ("desc", "space", "res")]
    return "_".join([scan.participant_id, *([scan.session] if scan.session else []), *kept])


def folder(out: Path, scan: Candidate) -> Path:
    return out / scan.participant_id / scan.session / "anat"


def describe(out: Path, bids: Path, *, simulated: bool) -> None:
    """Write ``dataset_description.json`` and ``.bidsignore``; the same whoever writes them."""
    out.mkdir(parents=True, exist_ok=True)
    made_by: dict[str, Any] = {
        "Name": "VolTA workbench",
        "Version": workbench.__version__,
        "Description": "Attention, embeddings and segmentations by a pretrained encoder. Not for diagnosis",
    }
    if container := os.environ.get("WORKBENCH_CONTAINER"):  # set by the container recipes
        kind, _, tag = container.partition(":")
        made_by["Container"] = {"Type": kind, "Tag": tag}
    description = {
        "Name": f"VolTA workbench: derivatives of {bids.name}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [made_by],
        "SourceDatasets": [{"URL": os.path.relpath(bids, out)}],
        "Simulated": simulated,
    }
    write_text(out / "dataset_description.json", json.dumps(description, indent=2) + "\n")
    write_text(out / ".bidsignore", "\n".join(IGNORED) + "\n")
    write_text(
        out / "README", "Derivatives by `workbench-bids` of the VolTA workbench. Research only, not for diagnosis.\n"
    )


def label_table(out: Path, codes: Mapping[str, int]) -> None:
    """The names of the codes, as BIDS wants them: ``desc-volta_dseg.tsv``."""
    rows = ["index\tname", *(f"{code}\t{name}" for name, code in codes.items())]
    write_text(out / f"desc-{NAME}_dseg.tsv", "\n".join(rows) + "\n")


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
