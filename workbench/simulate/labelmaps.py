"""`workbench labelmaps`: label maps without scans become people of a cohort, each with a T1-like image of its map.

The image is only what the other jobs need to see a person at all; pretraining draws contrasts of its own from the map
(``views.drawn_contrast``), another in each view.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field
from scipy.ndimage import gaussian_filter
from tqdm.auto import tqdm

import workbench
from workbench.errors import WorkbenchError
from workbench.runs import JobConfig, Run, finished, replacing, start_run
from workbench.simulate.bids import BIDS_VERSION, BIDSIGNORE
from workbench.volumes import Volume, read_volume, write_volume

NOTICE = "Intensities are simulated from label maps: no scanner made them."
# T1-like signal of a structure by words of its name, the first that fits; what none fits lies outside the brain
SIGNAL = (
    ("cerebellum_white_matter", 105.0),
    ("white_matter", 110.0),
    ("cerebellum_cortex", 75.0),
    ("cortex", 78.0),
    ("ventricle", 25.0),
    ("csf", 30.0),
    ("thalamus", 92.0),
    ("caudate", 84.0),
    ("putamen", 88.0),
    ("pallidum", 102.0),
    ("brain_stem", 98.0),
    ("hippocampus", 76.0),
    ("amygdala", 74.0),
    ("accumbens", 82.0),
    ("ventral_dc", 96.0),
)
NOISE, BLUR = 4.0, 0.6  # of the signal, and standard deviation in voxels


class LabelmapsConfig(JobConfig):
    """Write people whose only data are label maps as a BIDS dataset, with a T1-like image of simulated intensities."""

    job: ClassVar[str] = "labelmaps"

    label_maps: Path
    """Folder with `sub-*/anat/*_dseg.nii.gz` and the codes' names in a `dseg.tsv`."""
    site: str = "labelmaps"
    """Site that these people are said to be of."""
    seed: int = Field(0, ge=0)
    """Seed of the noise and of each structure's signal."""


def run_labelmaps(config: LabelmapsConfig, *, overwrite: bool = False) -> Run:
    """Write the dataset to ``config.out``; people that are complete are kept.

    Raises:
        WorkbenchError: no label maps there, no table of names, or no name in it that is a tissue of the brain.
    """
    maps = sorted(config.label_maps.glob("sub-*/anat/*_dseg.nii.gz"))
    table = config.label_maps / "dseg.tsv"
    if not maps or not table.is_file():
        raise WorkbenchError(
            f"{config.label_maps}: no label maps here",
            cause="no sub-*/anat/*_dseg.nii.gz" if not maps else "no dseg.tsv with the names of the codes",
            remedy="give the folder that holds the sub-* folders and dseg.tsv",
        )
    codes = read_names(table)
    signal = {code: value for code, name in codes.items() if (value := signal_of(name)) is not None}
    if not signal:
        raise WorkbenchError(
            f"{table}: names no tissue of the brain",
            cause=f"known are {', '.join(word for word, _ in SIGNAL)}",
            remedy="name the codes as FreeSurfer does",
        )
    if not overwrite and (done := finished(config)):
        return done
    with start_run(config, overwrite=overwrite, seed=config.seed, simulated=True, participants=len(maps)) as run:
        derived = config.out / "derivatives" / "labelmaps"
        for number, path in enumerate(tqdm(maps, desc="labelmaps", unit="scan")):
            person = path.name.split("_")[0]
            t1w = config.out / person / "anat" / f"{person}_T1w.nii.gz"
            labels = read_volume(path, labels=True)
            codes |= {int(c): f"outside {c}" for c in np.unique(labels.data) if c > 0 and int(c) not in codes}
            if t1w.is_file():
                continue
            image = t1_like(labels.data, signal, np.random.default_rng([config.seed, number]))
            sidecar = {"Simulated": True, "Description": NOTICE}
            write_volume(derived / person / "anat" / f"{person}_dseg.nii.gz", labels, sidecar=sidecar)
            write_volume(t1w, Volume(image, labels.affine), sidecar=sidecar)
        rows = [f"{code}\t{name}" for code, name in sorted(codes.items())]
        _write(derived / "dseg.tsv", "\n".join(["index\tname", *rows]) + "\n")
        people = "".join(f"{p.name.split('_')[0]}\t{config.site}\n" for p in maps)
        _write(config.out / "participants.tsv", f"participant_id\tsite\n{people}")
        _write(config.out / ".bidsignore", BIDSIGNORE)
        for folder, kind in ((config.out, "raw"), (derived, "derivative")):
            _write(folder / "dataset_description.json", json.dumps(_description(kind, config.seed), indent=2) + "\n")
    return run


def read_names(table: Path) -> dict[int, str]:
    """Code → name, from the columns ``index`` and ``name`` of a BIDS look-up table.

    Raises:
        WorkbenchError: not such a table.
    """
    try:
        with open(table, encoding="utf-8-sig", newline="") as file:
            return {int(row["index"]): str(row["name"]) for row in csv.DictReader(file, delimiter="\t")}
    except (OSError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise WorkbenchError(
            f"{table}: not a table of label names",
            cause=f"{type(error).__name__}: {error}"[:200],
            remedy="write a TSV with the columns index (whole numbers) and name",
        ) from error


def signal_of(structure: str) -> float | None:
    """T1-like signal of a structure by its name; None outside the brain."""
    plain = structure.lower().replace(" ", "_").replace("-", "_")
    return next((value for word, value in SIGNAL if word in plain), None)


def t1_like(labels: np.ndarray, signal: dict[int, float], rng: np.random.Generator) -> np.ndarray:
    """int16 intensities for label codes ``(X, Y, Z)``: each code's signal within 3 %, noise and blur; 0 outside the
    brain and nowhere else."""
    table = np.zeros(max(int(labels.max()), *signal) + 1, np.float32)
    for code, value in signal.items():
        table[code] = value * rng.uniform(0.97, 1.03)
    clean = table[np.maximum(labels, 0).astype(np.int64)]
    brain = clean > 0
    image = gaussian_filter(clean + NOISE * rng.standard_normal(clean.shape, dtype=np.float32), BLUR)
    return np.where(brain, np.maximum(image, 1), 0).astype(np.int16)


def _description(kind: str, seed: int) -> dict[str, object]:
    maker = {"Name": "workbench labelmaps", "Version": workbench.__version__, "Description": NOTICE, "Seed": seed}
    return {
        "Name": "Label maps with T1-like intensities",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": kind,
        "Simulated": True,
        "Acknowledgements": NOTICE,
        "GeneratedBy": [maker],
    }


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_text(text)
