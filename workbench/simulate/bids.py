"""The text files of the simulated BIDS dataset: what it is, who is in it, and what was planted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

import workbench
from workbench.runs import replacing
from workbench.simulate import design as effect
from workbench.simulate.anatomy import CODES, TUMOUR_CODES
from workbench.simulate.config import SimulateConfig
from workbench.simulate.design import Person, Visit, visits_of
from workbench.simulate.sites import Site, site_by_name

BIDS_VERSION = "1.9.0"
NOTICE = "Simulated data: no person was scanned. Not for clinical use, and no evidence about patients."

BIDSIGNORE = """# the run folder of the workbench, beside the dataset
config.yaml
provenance.json
status.json
metrics.jsonl
results/
"""

README = """SIMULATED DATA. {notice}

{n} participants at {sites} simulated sites, {scans}, written by `workbench simulate` (seed {seed}).

The anatomy is the MNI152 template (ICBM 2009a nonlinear symmetric, as packaged with nilearn), bent differently for each
participant. Site changes only the image; sex, age and diagnosis change only the anatomy, by the amounts that
participants.json states. What was planted for each participant is in derivatives/simulation/morphometry.tsv.
derivatives/simulation holds label maps of the hippocampi and the lateral ventricles. They are exact: label and image
come from the same shapes, read at the same points.

{design}
"""


def write_dataset_files(config: SimulateConfig, people: list[Person]) -> None:
    """Everything but the scans. Safe to repeat: the content depends on the configuration alone."""
    out, derived = config.out, config.out / "derivatives" / "simulation"
    derived.mkdir(parents=True, exist_ok=True)
    design = (
        f"Site and {config.confounded} are confounded by design (confound {config.confound:g})."
        if config.confound
        else "Diagnosis and sex are balanced over sites."
    )
    design += (
        " Both diagnoses cover the ages 55-85."
        if config.age_matched
        else " Age and diagnosis are confounded: CN covers the ages 20-85, AD 55-85."
    )
    if config.tumours:
        design += " Everybody has a simulated tumour, wherever and however large, whatever the person."
    scans = "a T1w scan at every site" if config.travelling else "one T1w scan"
    if config.contrasts[1:]:
        scans += f", and on the same grid {', '.join(config.contrasts[1:])}, each"
    if config.followups:
        scans += f", again {config.followups} times {config.years_between:g} years apart"
    if config.converters:
        count = sum(person.converts for person in people)
        design += f" {count} of the CN become AD while they are followed up: their diagnosis changes between sessions."
    _text(
        out / "README",
        README.format(
            notice=NOTICE, n=len(people), sites=config.sites, scans=f"{scans} each", seed=config.seed, design=design
        ),
    )
    _text(out / ".bidsignore", BIDSIGNORE)
    _json(out / "dataset_description.json", description(config, "Simulated multi-site T1w cohort", "raw"))
    _json(
        derived / "dataset_description.json",
        {
            **description(config, "Exact labels of the simulated cohort", "derivative"),
            "SourceDatasets": [{"URL": "../..", "Version": workbench.__version__}],
        },
    )
    visits = [visits_of(person, config) for person in people]
    changing = (["site", "scanner"] if config.travelling else []) + (["age"] if config.followups else [])
    changing += ["diagnosis"] if config.converters else []
    everything = pd.DataFrame([_row(visit) for mine in visits for visit in mine])
    fixed = [name for name in everything if name not in ("session_id", *changing)]
    _table(out / "participants.tsv", everything[fixed].drop_duplicates("participant_id"))
    known = data_dictionary()
    _json(out / "participants.json", {name: known[name] for name in known if name in fixed})
    if changing:
        _json(out / "sessions.json", {name: known[name] for name in known if name in changing})
        for name, mine in everything.groupby("participant_id", sort=False):
            folder = out / str(name)
            folder.mkdir(exist_ok=True)
            _table(folder / f"{name}_sessions.tsv", mine[["session_id", *changing]])
    codes = CODES | (TUMOUR_CODES if config.tumours else {})
    _table(derived / "dseg.tsv", pd.DataFrame({"index": codes.values(), "name": codes.keys()}))
    planted = ("icv_ml", "left_hippocampus_mm3", "right_hippocampus_mm3", "ventricles_ml", "thinning_mm")
    _table(
        derived / "morphometry.tsv",
        pd.DataFrame(
            [
                {
                    "participant_id": visit.person.participant_id,
                    **({"session_id": visit.session} if changing else {}),
                    **{name: getattr(visit.person, name) for name in planted},
                }
                for mine in visits
                for visit in mine
            ]
        ),
    )
    _json(
        derived / "morphometry.json",
        {
            "icv_ml": {"Description": "Planted volume inside the brain mask", "Units": "mL"},
            "left_hippocampus_mm3": {"Description": "Planted volume of the left hippocampus", "Units": "mm^3"},
            "right_hippocampus_mm3": {"Description": "Planted volume of the right hippocampus", "Units": "mm^3"},
            "ventricles_ml": {"Description": "Planted volume of both lateral ventricles", "Units": "mL"},
            "thinning_mm": {"Description": "How far the cortex retracts from the template's surface", "Units": "mm"},
        },
    )


def _row(visit: Visit) -> dict[str, Any]:
    p = visit.person
    return {
        "participant_id": p.participant_id,
        "session_id": visit.session,
        "age": p.age,
        "sex": p.sex,
        "diagnosis": p.diagnosis,
        "site": p.site,
        "scanner": site_by_name(p.site).scanner,
    }


def description(config: SimulateConfig, name: str, kind: str) -> dict[str, Any]:
    """``dataset_description.json``; ``Simulated`` and ``GeneratedBy`` are what the cohort recognises it by."""
    return {
        "Name": name,
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": kind,
        "Simulated": True,
        "License": "CC0",
        "Authors": ["workbench simulate"],
        "Acknowledgements": NOTICE,
        "GeneratedBy": [
            {"Name": "workbench simulate", "Version": workbench.__version__, "Description": NOTICE, "Seed": config.seed}
        ],
    }


def data_dictionary() -> dict[str, Any]:
    """``participants.json``: what each variable means and what it does to the anatomy, from the constants used."""
    e = effect
    return {
        "age": {
            "Units": "year",
            "Description": (
                f"Age. Each hippocampus changes by {e.HIPPOCAMPUS_PER_YEAR_EARLY:g} mm^3 a year up to 55 and by "
                f"{e.HIPPOCAMPUS_PER_YEAR:g} mm^3 a year after; the lateral ventricles together by "
                f"+{e.VENTRICLES_PER_YEAR_EARLY:g} mL a year up to 55 and +{e.VENTRICLES_PER_YEAR:g} mL after; the "
                f"cortex retracts by {e.THINNING_PER_YEAR:g} mm a year from 20. All at an intracranial volume of "
                f"{e.ICV_REFERENCE:g} mL."
            ),
        },
        "sex": {
            "Levels": {
                "F": f"female: mean intracranial volume {e.ICV_ML['F']:g} mL",
                "M": f"male: mean intracranial volume {e.ICV_ML['M']:g} mL",
            },
            "Description": f"Sex. Changes the size of the head only (standard deviation {e.ICV_SD:g} mL); the "
            f"hippocampus follows with the power {e.HIPPOCAMPUS_ICV_POWER:g}, the ventricles in "
            "proportion.",
        },
        "diagnosis": {
            "Levels": {
                "CN": "cognitively normal: no effect",
                "AD": f"Alzheimer's disease: each hippocampus {e.HIPPOCAMPUS_AD:g} mm^3, lateral ventricles "
                f"+{e.VENTRICLES_AD:g} mL, cortex {e.THINNING_AD:g} mm further back",
            },
            "Description": "Simulated diagnosis; changes the anatomy as stated.",
        },
        "site": {
            "Description": "Simulated site. Changes the image (contrast, bias field, noise, resolution, "
            "orientation, field of view), never the anatomy."
        },
        "scanner": {"Description": "Simulated scanner of the site."},
    }


def t1w_sidecar(person: Person, site: Site, config: SimulateConfig) -> dict[str, Any]:
    """``_T1w.json``. Participant variables stay in participants.tsv, where BIDS wants them."""
    return {
        "Simulated": True,
        "ImageComments": NOTICE,
        "Modality": "MR",
        "Manufacturer": "Simulated",
        "ManufacturersModelName": site.scanner,
        "MagneticFieldStrength": site.tesla,
        "InstitutionName": person.site,
        "SkullStripped": not config.head,
        "ConversionSoftware": "workbench simulate",
        "ConversionSoftwareVersion": workbench.__version__,
    }


def _json(path: Path, values: dict[str, Any]) -> None:
    _text(path, json.dumps(values, indent=2) + "\n")


def _table(path: Path, table: pd.DataFrame) -> None:
    _text(path, table.to_csv(sep="\t", index=False, lineterminator="\n"))


def _text(path: Path, text: str) -> None:
    with replacing(path) as partial:
        partial.write_text(text)
