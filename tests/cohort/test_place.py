"""Labels come onto their scan's grid without leaving their place, or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cohort.test_cohort import build, seg
from workbench.cohort.place import merged, on_grid
from workbench.cohort.source import Part
from workbench.errors import ScanError
from workbench.prepare.config import PrepareConfig
from workbench.prepare.prepare import run_prepare
from workbench.prepare.store import open_store
from workbench.testing import HIPPOCAMPI_MM, phantom, phantom_grid, phantom_labels, write_bids
from workbench.volumes import Volume, read_volume, write_volume

HERE = Path("labels.nii.gz")


@pytest.mark.parametrize("scan", ["RAS", "LAS", "PSR"])
@pytest.mark.parametrize("stored", ["RAS", "LPI", "PSR", "SAL"])
def test_another_order_of_axes_is_turned_and_every_label_keeps_its_place(scan: str, stored: str) -> None:
    grid = phantom_grid(scan, spacing=(2, 2, 3))
    labels, how = on_grid(HERE, phantom_labels(phantom_grid(stored, spacing=(2, 2, 3))), grid)
    assert how == ("" if scan == stored else "turned")
    assert np.array_equal(labels.data, phantom_labels(grid).data) and np.array_equal(labels.affine, grid.affine)


def test_another_grid_is_resampled_only_if_asked() -> None:
    grid = phantom_grid("RAS")
    labels = phantom_labels(phantom_grid("LIA", spacing=(1, 1, 1), shape=(52, 60, 48)))
    with pytest.raises(ScanError, match="is not on the scan's grid") as told:
        on_grid(HERE, labels, grid)
    assert "--resample_labels" in told.value.remedy
    moved, how = on_grid(HERE, labels, grid, resample=True)
    assert how == "resampled"
    for code, place in HIPPOCAMPI_MM.items():
        centre = moved.grid.to_world(np.argwhere(moved.data == code)).mean(axis=0)
        assert np.linalg.norm(centre - place) < 1


def test_labels_that_lost_their_affine_are_not_resampled_into_nothing() -> None:
    labels = phantom_labels(phantom_grid("RAS"))
    for resample in (True, False):
        with pytest.raises(ScanError, match="does not lie on the scan") as told:
            on_grid(HERE, Volume(labels.data, np.eye(4)), phantom_grid("RAS"), resample=resample)
        assert "with the scan's affine" in told.value.remedy  # --resample_labels would find nothing there


def test_parts_are_one_segmentation_and_do_not_overlap() -> None:
    whole = phantom_labels(phantom_grid("RAS"))
    sides = [Volume((whole.data == code).astype(np.int32), whole.affine) for code in (1, 2)]
    parts = (Part(HERE, code=1), Part(HERE, codes=((1, 2),)))
    assert np.array_equal(merged(parts, sides).data, whole.data)
    with pytest.raises(ScanError, match="overlaps"):
        merged(parts, [sides[0], sides[0]])


def test_a_cohort_takes_turned_labels_and_a_structure_that_is_lacking_is_not_background(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "d", people=4, axcodes=("LAS",))
    turned = phantom_labels(phantom_grid("RAS"))
    write_volume(seg(root, "sub-01"), turned)
    whole = phantom_labels(phantom("LAS").grid)
    write_volume(seg(root, "sub-02"), Volume(np.where(whole.data == 1, 7, whole.data), whole.affine))
    cohort = build(tmp_path / "cohort", root)
    assert cohort.set_aside.empty and cohort.table["seg_path"].notna().all()
    assert np.array_equal(read_volume(cohort.table["seg_path"][0], labels=True).data, whole.data)
    assert cohort.table["seg_lacks"].tolist() == ["", "right_hippocampus", "", ""]
    assert cohort.labels["scans"].tolist() == [3, 4]
    text = "\n".join(cohort.notes["text"])
    assert "7 (in 1 scans)" in text and "right_hippocampus (lacking in 1)" in text and "were turned" in text
    run_prepare(PrepareConfig(out=tmp_path / "store", cohort=tmp_path / "cohort", spacing=3.0, workers=1))
    store = open_store(tmp_path / "store")
    assert [store.codes(scan, "right_hippocampus") for scan in store.scan_ids] == [[1], [], [1], [1]]
    assert all(store.codes(scan, "left_hippocampus") == [2] for scan in store.scan_ids)
