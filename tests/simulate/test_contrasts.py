"""Further contrasts of simulated people, and their tumours: what a voxel shows is what its label says."""

from __future__ import annotations

import json

import numpy as np
import pytest

from workbench.cohort import CohortConfig, SplitConfig, load_cohort, run_cohort, run_split
from workbench.errors import ConfigError
from workbench.finetune.config import SegmentConfig
from workbench.finetune.segment import run_segment
from workbench.prepare import PrepareConfig, run_prepare
from workbench.simulate.anatomy import TUMOUR_CODES
from workbench.simulate.config import SimulateConfig
from workbench.simulate.simulate import run_simulate, scan_path, t1w_path
from workbench.volumes import read_volume

CONTRASTS = ("T1w", "T1c", "T2w", "FLAIR")
PARTS = ("necrotic_tumor_core", "enhancing_tumor", "peritumoral_edema")
SMALL = {"participants": 6, "spacing": 5.0, "workers": 1, "seed": 4}


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    config = SimulateConfig(
        out=tmp_path_factory.mktemp("patients") / "data", contrasts=CONTRASTS, tumours=True, **SMALL
    )
    run_simulate(config)
    return config


def test_a_further_contrast_changes_no_t1w(tmp_path, patients):
    """Byte by byte: with further contrasts the T1w of a seed is that of the seed without them."""
    plain = SimulateConfig(out=tmp_path / "plain", **SMALL)
    several = SimulateConfig(out=tmp_path / "several", contrasts=("T1w", "FLAIR"), **SMALL)
    from workbench.simulate.design import Visit, design
    from workbench.simulate.simulate import simulate_visit

    visit = Visit(design(plain)[0])
    for config in (plain, several):
        simulate_visit(visit, config)
    assert t1w_path(plain, visit).read_bytes() == t1w_path(several, visit).read_bytes()
    assert scan_path(several, visit, "FLAIR").is_file() and not scan_path(plain, visit, "FLAIR").exists()


def test_tumours_show_in_the_contrasts_that_show_them(patients):
    for t1w in sorted(patients.out.glob("sub-*/anat/*_T1w.nii.gz")):
        if "ce-" in t1w.name:
            continue
        stem = t1w.name.removesuffix("_T1w.nii.gz")
        shown = {"T1w": t1w, "T1c": t1w.with_name(f"{stem}_ce-simulated_T1w.nii.gz")}
        shown |= {name: t1w.with_name(f"{stem}_{name}.nii.gz") for name in ("T2w", "FLAIR")}
        scans = {name: read_volume(path) for name, path in shown.items()}
        derived = patients.out / "derivatives" / "simulation" / stem / "anat" / f"{stem}_dseg.nii.gz"
        labels = read_volume(derived, labels=True).data
        assert all(np.array_equal(scan.affine, scans["T1w"].affine) for scan in scans.values())
        white = {name: np.percentile(scan.data[scan.data > 0], 50) for name, scan in scans.items()}
        level = {
            (name, part): np.median(scan.data[labels == code]) / white[name]
            for name, scan in scans.items()
            for part, code in TUMOUR_CODES.items()
        }
        assert level["T1c", "Enhancing-Tumor"] > 1.25 * level["T1w", "Enhancing-Tumor"]
        assert level["FLAIR", "Peritumoral-Edema"] > 1.2 > 1.1 > level["T1w", "Peritumoral-Edema"]
        assert json.loads(shown["FLAIR"].with_name(f"{stem}_FLAIR.json").read_text())["Simulated"] is True


def test_regions_of_the_tumour_are_segmented_from_four_contrasts(patients, tmp_path):
    run_cohort(CohortConfig(out=tmp_path / "cohort", sources=[patients.out], workers=1, contrast=CONTRASTS))
    cohort = load_cohort(tmp_path / "cohort")
    assert cohort.contrasts == CONTRASTS and len(cohort.table) == 6 and cohort.simulated
    assert set(PARTS) <= set(cohort.labels["structure"])
    run_split(SplitConfig(out=tmp_path / "split", cohort=tmp_path / "cohort", fractions=(0.5, 0.0, 0.5)))
    run_prepare(PrepareConfig(out=tmp_path / "store", cohort=tmp_path / "cohort", spacing=6.0, workers=1))
    run = run_segment(
        SegmentConfig(
            out=tmp_path / "segment", store=tmp_path / "store", split=tmp_path / "split", init="random",
            network="unet", crop=16, features=4, steps=1, structures=PARTS, regions=("whole_tumor", "tumor_core"),
            accelerator="cpu",
        )
    )  # fmt: skip
    dice = run.read_table("dice").set_index(["scan_id", "structure"])["true_volume_ml"].unstack()
    assert np.allclose(dice["whole_tumor"], dice[list(PARTS)].sum(axis=1)) and (dice["whole_tumor"] > 0).all()
    assert np.allclose(dice["tumor_core"], dice[["necrotic_tumor_core", "enhancing_tumor"]].sum(axis=1))


def test_a_region_of_other_structures_is_refused(tmp_path):
    here = {"out": tmp_path, "store": tmp_path, "split": tmp_path, "network": "unet", "crop": 16, "init": "random"}
    with pytest.raises(ConfigError, match="holds none of the structures"):
        SegmentConfig.build({**here, "regions": ["whole_tumor"]})
    with pytest.raises(ConfigError, match="there are whole_tumor"):
        SegmentConfig.build({**here, "regions": ["left_half"]})
    with pytest.raises(ConfigError, match="T1w first"):
        SimulateConfig.build({"out": tmp_path, "contrasts": ["FLAIR"]})
