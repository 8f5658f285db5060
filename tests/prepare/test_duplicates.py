import numpy as np
import pytest
from scipy import ndimage

from workbench.cohort import CohortConfig, run_cohort
from workbench.prepare import duplicates
from workbench.prepare.config import PrepareConfig
from workbench.prepare.duplicates import near_duplicates, thumbnails
from workbench.prepare.prepare import run_prepare
from workbench.prepare.store import open_store
from workbench.testing import phantom, write_bids
from workbench.volumes import Volume, read_volume, write_volume
from workbench.volumes.thumbnail import CELLS, decode, encode, thumbnail


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Twelve people with anatomy of their own, and sub-12 a copy of sub-01: stored in another orientation, with other
    intensities and noise, under another name."""
    root = tmp_path_factory.mktemp("duplicates")
    source = write_bids(root / "bids", people=12, segmentations=False)
    paths = sorted(source.glob("sub-*/anat/*_T1w.nii.gz"))
    rng = np.random.default_rng(0)
    for path in paths[:-1]:
        scan = read_volume(path)
        field = ndimage.gaussian_filter(rng.normal(size=scan.data.shape), 3)
        own = np.where(scan.data > 0, scan.data + 12 * field / field.std(), 0)
        write_volume(path, Volume(np.maximum(own, 0).astype(np.float32), scan.affine))
    first = read_volume(paths[0])
    data = np.where(first.data > 0, 3 * first.data + 7 + rng.normal(0, 5, first.data.shape), 0)[::-1]
    affine = first.affine @ np.array([[-1, 0, 0, len(data) - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    write_volume(paths[-1], Volume(np.ascontiguousarray(data).astype(np.float32), affine))
    run_cohort(CohortConfig(out=root / "cohort", sources=[source], workers=1))
    run_prepare(PrepareConfig(out=root / "store", cohort=root / "cohort", spacing=2.0, workers=1))
    return open_store(root / "store")


def sides(store, test):
    return [s for s in store.scan_ids if not any(t in s for t in test)], [
        s for s in store.scan_ids if any(t in s for t in test)
    ]


def test_a_planted_copy_under_another_name_is_found_and_nobody_else(store):
    pairs = near_duplicates(store, *sides(store, ["sub-12", "sub-05"]))
    assert len(pairs) == 1 and "sub-01" in pairs["learnt"][0] and "sub-12" in pairs["test"][0]
    assert not len(near_duplicates(store, *sides(store, ["sub-04", "sub-05"])))


def test_a_copy_of_the_same_person_is_no_finding(store):
    """Scans of one person are kept together by the split; only other names are of interest here."""
    index = store.index.copy()
    index.loc[index["scan_id"].str.contains("sub-12"), "participant"] = index.loc[
        index["scan_id"].str.contains("sub-01"), "participant"
    ].iloc[0]
    again = open_store(store.path)
    again.__dict__["index"] = index
    assert not len(near_duplicates(again, *sides(store, ["sub-12"])))


def test_pictures_are_written_by_prepare_and_made_where_they_are_missing(store):
    path = store.path / "results" / "thumbnails.parquet"
    written = thumbnails(store)
    assert written.shape == (12, CELLS**3) and path.is_file()
    kept = path.read_bytes()
    try:
        path.unlink()
        np.testing.assert_allclose(thumbnails(store), written, atol=5e-3)  # float16 in the file
    finally:
        path.write_bytes(kept)


def test_a_picture_does_not_depend_on_box_or_scale():
    scan = phantom(noise=5).data
    scan = np.where(scan > 0, (scan - 100) / 30 + 0.01, 0).astype(np.float32)
    picture = thumbnail(scan)
    assert picture.mean() == pytest.approx(0, abs=1e-5) and picture.std() == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(thumbnail(np.pad(scan, ((3, 0), (1, 5), (0, 2)))), picture, atol=1e-3)
    np.testing.assert_allclose(thumbnail(2 * scan), picture, atol=1e-4)
    assert np.corrcoef(picture.ravel(), thumbnail(scan[::-1]).ravel())[0, 1] < 0.97  # sides count
    np.testing.assert_allclose(decode(encode(picture)), picture.ravel(), atol=5e-3)
    # the cells lie where the intensities are: the marker is left, in front, on top
    bright = np.argwhere(picture == picture.max())[0]
    assert bright[0] < CELLS / 2 < bright[1] and bright[2] > CELLS / 2


def test_what_all_brains_share_makes_no_two_of_them_one(store, monkeypatch):
    """Any two brains correlate at 0.97 here; only what sets them apart is compared."""
    rng = np.random.default_rng(0)
    pictures = 6 * rng.normal(size=(1, CELLS**3)) + rng.normal(size=(12, CELLS**3))
    pictures[11] = pictures[0] + 0.1 * rng.normal(size=CELLS**3)
    assert np.corrcoef(pictures[3], pictures[4])[0, 1] > 0.96
    monkeypatch.setattr(duplicates, "thumbnails", lambda store: pictures.copy())
    pairs = near_duplicates(store, store.scan_ids[:6], store.scan_ids[6:])
    assert pairs[["learnt", "test"]].values.tolist() == [[store.scan_ids[0], store.scan_ids[11]]]
