from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.prepare.conftest import make_cohort
from workbench.errors import WorkbenchError
from workbench.prepare import PrepareConfig, Store, open_store, preparation_fingerprint, run_prepare
from workbench.testing import phantom_grid


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("store")
    cohort = make_cohort(folder, people=3)
    return open_store(run_prepare(PrepareConfig(out=folder / "store", cohort=cohort, spacing=2, workers=1)).path)


def test_any_crop_is_the_part_of_the_whole_with_zeros_around(store: Store) -> None:
    rng = np.random.default_rng(0)
    for read in (store.read, store.read_seg):
        whole = read(1)
        wide = np.pad(whole, 80)
        for _ in range(50):
            low = rng.integers(-30, 40, 3)
            high = low + rng.integers(0, 30, 3)
            crop = read(1, low, high)
            x, y, z = (slice(a + 80, b + 80) for a, b in zip(low, high, strict=True))
            assert np.array_equal(crop, wide[x, y, z]) and crop.dtype == whole.dtype
            assert crop.flags.c_contiguous and crop.flags.writeable and crop.flags.owndata


def test_a_crop_wholly_outside_is_zero(store: Store) -> None:
    assert not store.read(0, (500, 0, 0), (510, 8, 8)).any()
    assert store.read(0, (-20, -20, -20), (-10, -10, -10)).shape == (10, 10, 10)


def test_names_and_positions_are_the_same_scans(store: Store) -> None:
    assert len(store) == 3 and store.scan_ids == list(store.index["scan_id"])
    for i, name in enumerate(store.scan_ids):
        assert store.position(name) == i and store.scan_id(i) == name
        assert store.shape(i) == store.shape(name) == store.read(name).shape == store.grid(name).shape
        assert store.shape(np.int64(i)) == store.shape(i)  # type: ignore[arg-type]
        row = store.index.iloc[i]
        assert np.allclose(store.grid(i).affine.ravel(), row["affine"])
        assert np.array_equal(store.read_brain(i), store.read(i) != 0)
    with pytest.raises(WorkbenchError, match="no scan 'nobody'"):
        store.read("nobody")
    with pytest.raises(IndexError):
        store.read(3)
    with pytest.raises(IndexError):
        store.read(-1)


def test_the_source_grid_is_that_of_the_file(store: Store) -> None:
    for i, axcodes in enumerate(("RAS", "LAS", "PSR")):
        grid = store.source_grid(i)
        assert grid.shape == phantom_grid(axcodes).shape
        assert np.allclose(grid.affine, phantom_grid(axcodes).affine, atol=1e-4)


def test_a_pickled_store_reads_the_same_and_carries_no_tables(store: Store) -> None:
    assert len(store.index) == 3 and store.codes(0, "left_hippocampus") == [2]
    data = pickle.dumps(store)
    assert len(data) < 5000
    again = pickle.loads(data)
    assert np.array_equal(again.read(2), store.read(2)) and again.codes(0, "left_hippocampus") == [2]
    assert again.codes(0, "no_such_structure") == []


def test_a_large_store_costs_little_per_scan(store: Store, tmp_path: Path) -> None:
    n = 20_000
    (tmp_path / "results").mkdir()
    for name in ("config.yaml", "provenance.json", "status.json"):
        (tmp_path / name).write_bytes((store.path / name).read_bytes())
    rows = pd.concat([store.index.iloc[:1]] * n, ignore_index=True)
    rows["scan_id"] = [f"oasis1_sub-{i:07d}_ses-01" for i in range(n)]
    rows.to_parquet(tmp_path / "results" / "index.parquet")
    large = open_store(tmp_path)
    held = sum(v.nbytes for v in vars(large).values() if isinstance(v, np.ndarray))
    assert held / n < 100 and len(pickle.dumps(large)) / n < 100
    assert all(isinstance(v, np.ndarray) or len(str(v)) < 500 for v in vars(large).values())
    assert large.position("oasis1_sub-0012345_ses-01") == 12345


def test_an_encoder_made_otherwise_is_refused_with_what_to_do(store: Store) -> None:
    store.require_fingerprint(store.fingerprint, "runs/pretrain")
    with pytest.raises(WorkbenchError, match=r"runs/pretrain.*otherwise") as caught:
        store.require_fingerprint("0123", "runs/pretrain")
    assert "prepare the cohort" in caught.value.remedy and "0123" in caught.value.cause


def test_the_fingerprint_is_of_what_changes_voxels_and_of_nothing_else() -> None:
    base = PrepareConfig(out=Path("a"), cohort=Path("b"))
    changes: list[dict[str, object]] = [
        {"spacing": 2.0},
        {"interpolation": "cubic"},
        {"mask": "head"},
        {"n4": True},
        {"clip_percentile": 99.0},
        {"contrasts": ("T1w", "FLAIR")},
    ]
    prints = {preparation_fingerprint(base.model_copy(update=c)) for c in [{}, *changes]}
    assert len(prints) == 7
    t1w_alone = base.model_copy(update={"contrasts": ("T1w",)})  # said or not said: what stores of before have
    assert preparation_fingerprint(t1w_alone) == preparation_fingerprint(base)
    for same in ({"out": Path("c")}, {"cohort": Path("c")}, {"workers": 7}, {"margin": 9.0}):
        assert preparation_fingerprint(base.model_copy(update=same)) == preparation_fingerprint(base)
    kept = {name for name, field in PrepareConfig.model_fields.items() if not field.exclude}
    told = kept - {"out", "cohort", "margin"}
    assert told == {key for change in changes for key in change}, "a new setting: does it change voxels?"


def test_damage_and_absence_are_told(store: Store, tmp_path: Path) -> None:
    file = store.path / "scans" / f"{store.scan_id(0)}.npy"
    good = file.read_bytes()
    try:
        np.save(file, np.zeros((3, 3, 3), np.float16))
        with pytest.raises(WorkbenchError, match="damaged"):
            store.read(0)
        file.unlink()
        with pytest.raises(WorkbenchError, match="damaged"):
            store.read(0)
        np.save(file, np.array([{}]), allow_pickle=True)
        with pytest.raises(WorkbenchError, match="damaged"):
            store.read(0)
    finally:
        file.write_bytes(good)
    with pytest.raises(WorkbenchError, match="not a run folder"):
        open_store(tmp_path)
    with pytest.raises(WorkbenchError, match="not a prepared store"):
        open_store(store.path.parent / "cohort")


def test_a_scan_without_segmentation_says_so(tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path, people=2, segmentations=False)
    store = open_store(run_prepare(PrepareConfig(out=tmp_path / "s", cohort=cohort, spacing=2, workers=1)).path)
    assert not store.has_seg(0) and store.codes(0, "left_hippocampus") == []
    with pytest.raises(WorkbenchError, match="no segmentation"):
        store.read_seg(0)
