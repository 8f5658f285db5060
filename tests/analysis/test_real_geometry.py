"""A real scan stored PSR (ixi): what is written for it overlays it in its own space."""

import nibabel as nib
import numpy as np
import pytest

from workbench.analysis.attention.job import in_source_space as map_in_source_space
from workbench.cohort import CohortConfig, run_cohort
from workbench.finetune.segment import in_source_space
from workbench.finetune.segment_data import class_map, to_classes
from workbench.measures.structures import dice
from workbench.prepare import open_store
from workbench.prepare.config import PrepareConfig
from workbench.prepare.prepare import run_prepare
from workbench.volumes import read_volume, write_volume

STRUCTURES = ("left_hippocampus", "right_hippocampus")


@pytest.fixture(scope="module")
def store(real_data, tmp_path_factory):
    """One person of ixi as a BIDS folder of its own, prepared at 1.5 mm."""
    root, person = tmp_path_factory.mktemp("ixi"), "sub-IXI033"
    source = root / "ixi"
    (source / "derivatives" / "dlmuse").mkdir(parents=True)
    for name in ("dataset_description.json", "participants.tsv", person):
        (source / name).symlink_to(real_data / "ixi" / name)
    for name in ("dataset_description.json", "dseg.tsv", person):
        (source / "derivatives" / "dlmuse" / name).symlink_to(real_data / "ixi" / "derivatives" / "dlmuse" / name)
    run_cohort(CohortConfig(out=root / "cohort", sources=[source], workers=1))
    run_prepare(PrepareConfig(out=root / "store", cohort=root / "cohort", spacing=1.5, workers=1))
    return open_store(root / "store")


def test_a_segmentation_overlays_a_psr_scan(store, tmp_path):
    scan = store.index.iloc[0]
    assert scan["axcodes"] == "PSR"
    table = class_map(store, scan["scan_id"], STRUCTURES)
    classes = to_classes(store.read_seg(scan["scan_id"]), table)
    made = in_source_space(np.stack([classes == c for c in range(3)]).astype(np.float32), store, scan["scan_id"])
    written = nib.load(write_volume(tmp_path / "dseg.nii.gz", made))
    truth = read_volume(scan["seg_path"], labels=True)
    assert nib.aff2axcodes(written.affine) == ("P", "S", "R")
    np.testing.assert_allclose(written.affine, nib.load(scan["path"]).affine, atol=1e-4)
    own, back = to_classes(truth.data, table), np.asanyarray(written.dataobj)
    for code, sign in ((1, -1), (2, 1)):
        assert dice(back == code, own == code) > 0.85
        x = nib.affines.apply_affine(written.affine, np.argwhere(back == code))[:, 0]
        assert np.sign(np.median(x)) == sign  # the left hippocampus is where world x is negative


def test_a_map_overlays_a_psr_scan(store):
    """A map that equals the prepared scan must, in the scan's own space, look like the scan."""
    scan = store.index.iloc[0]
    prepared = store.read(scan["scan_id"]).astype(np.float32)
    back = map_in_source_space(prepared, store.grid(scan["scan_id"]), store.source_grid(scan["scan_id"]), "linear")
    own = read_volume(scan["path"])
    brain = (back.data != 0) & (own.data > 0)
    assert np.corrcoef(back.data[brain], own.data[brain])[0, 1] > 0.97
    for axis in range(3):  # and not like its mirror image
        assert np.corrcoef(np.flip(back.data, axis)[brain], own.data[brain])[0, 1] < 0.8
