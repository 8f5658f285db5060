"""The real data sets, in their own orientations, spacings and intensity scales."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from workbench.cohort import CohortConfig, run_cohort
from workbench.prepare import PrepareConfig, Store, open_store, run_prepare, to_source_space
from workbench.volumes import read_grid, read_volume

PEOPLE = {"oasis1": "sub-OAS10061", "ixi": "sub-IXI033", "ds002748": "sub-60", "fcp": "sub-Beijing00440"}


@pytest.fixture(scope="module")
def store(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One person of each data set at 2 mm (sub-60 also with an oblique native scan)."""
    folder = tmp_path_factory.mktemp("real")
    for dataset, person in PEOPLE.items():
        for part in (real_data / dataset).rglob(f"{person}*"):
            target = folder / dataset / part.relative_to(real_data / dataset)
            if part.is_dir() and not target.exists():
                shutil.copytree(part, target)
        for table in (p for p in (real_data / dataset).rglob("*.[tj]s*") if p.suffix in (".tsv", ".json")):
            target = folder / dataset / table.relative_to(real_data / dataset)
            if not table.name.startswith("sub-"):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(table, target)
    cohort = run_cohort(CohortConfig(out=folder / "cohort", sources=[folder / d for d in PEOPLE], workers=1))
    return open_store(run_prepare(PrepareConfig(out=folder / "store", cohort=cohort.path, spacing=2, workers=1)).path)


def test_every_brain_is_found_whole_and_of_human_size(store: Store) -> None:
    assert len(store) == 5
    assert set(store.index["mask_kind"]) == {"nonzero"}
    assert store.index["brain_ml"].between(1000, 2000).all()
    for i in range(len(store)):
        brain = store.read_brain(i)
        assert not any(brain.take(side, axis).any() for axis in range(3) for side in (0, -1)), "touches the box"
        extent = (np.array(brain.shape) - 2) * store.spacing
        assert (extent > (110, 140, 100)).all() and (extent < (180, 220, 200)).all()
        assert extent.argmax() == 1  # a brain is longest from back to front: the axes are in RAS order


def test_the_native_and_the_resampled_scan_of_a_person_agree(store: Store) -> None:
    native, resampled = (s for s in store.scan_ids if s.startswith("ds002748_sub-60"))
    volumes = [store.index.set_index("scan_id").loc[s, "brain_ml"] for s in (native, resampled)]
    assert abs(volumes[0] / volumes[1] - 1) < 0.1


@pytest.mark.parametrize("dataset", ["oasis1", "ixi"])
def test_the_right_hippocampus_is_on_the_right_and_comes_back_to_its_own_space(store: Store, dataset: str) -> None:
    scan = next(s for s in store.scan_ids if s.startswith(dataset))
    seg, row = store.read_seg(scan), store.index.set_index("scan_id").loc[scan]
    right, left = (np.isin(seg, store.codes(scan, f"{side}_hippocampus")) for side in ("right", "left"))
    assert np.argwhere(right)[:, 0].mean() > seg.shape[0] / 2 > np.argwhere(left)[:, 0].mean()
    assert store.source_grid(scan).shape == read_grid(row["path"]).shape
    true = read_volume(row["seg_path"], labels=True).data
    for side, mine in (("right", right), ("left", left)):
        back = to_source_space(mine, store.grid(scan), store.source_grid(scan), order=1).data > 0.5
        wanted = np.isin(true, store.codes(scan, f"{side}_hippocampus"))
        dice = 2 * (back & wanted).sum() / (back.sum() + wanted.sum())
        assert dice > (0.85 if dataset == "oasis1" else 0.999), dice  # ixi is 2 mm already: nothing is lost


def test_crops_around_a_hippocampus_count_as_brain_and_keep_their_labels(real_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "msd_hippocampus"
    for name in ("imagesTr/hippocampus_001.nii.gz", "labelsTr/hippocampus_001.nii.gz", "dataset.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(real_data / folder.name / name, folder / name)
    cohort = run_cohort(CohortConfig(out=tmp_path / "cohort", sources=[folder], workers=1))
    store = open_store(run_prepare(PrepareConfig(out=tmp_path / "store", cohort=cohort.path, workers=1)).path)
    assert store.index["mask_kind"].tolist() == ["whole"] and store.read_brain(0).all()
    true = read_volume(folder / "labelsTr" / "hippocampus_001.nii.gz", labels=True).data
    assert np.array_equal(np.bincount(store.read_seg(0).ravel()), np.bincount(true.ravel()))
