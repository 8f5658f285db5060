import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from workbench.errors import ScanError, WorkbenchError
from workbench.explorer.stored import files
from workbench.explorer.stored.catalog import Catalog
from workbench.testing import intensity, phantom
from workbench.volumes import write_volume


@pytest.fixture
def catalog(own_runs):
    return Catalog.scan(own_runs)


def test_each_case_has_its_own_files(catalog):
    cohort = catalog.cohort("embed")
    for scan_id in cohort["scan_id"].iloc[:-1]:
        row = files.case_row(cohort, scan_id)
        for path in (
            files.scan_file(row),
            files.truth_file(row),
            files.prediction_file(catalog, "segment", scan_id),
            files.attention_file(catalog, "attend", scan_id, "2"),
        ):
            assert path.is_file() and path.name.startswith(scan_id)


def test_what_is_missing_is_none(catalog):
    cohort = catalog.cohort("embed")
    bare = cohort["scan_id"].iloc[-1]
    assert files.truth_file(files.case_row(cohort, bare)) is None
    assert files.attention_file(catalog, "attend", bare, "mean") is None
    assert files.attention_file(catalog, "attend", cohort["scan_id"].iloc[0], "99") is None
    assert files.prediction_file(catalog, "segment", bare) is None


@pytest.mark.parametrize("file", ["../../data/fake_sub-01_T1w.nii.gz", "/etc/passwd", "volumes/../../../x.nii.gz"])
def test_a_file_outside_its_run_is_refused(catalog, own_runs, file):
    for run, table in (("attend", "attention"), ("segment", "dice")):
        path = own_runs / run / "results" / f"{table}.parquet"
        pd.read_parquet(path).assign(file=file).to_parquet(path)
    with pytest.raises(WorkbenchError, match="refused"):
        files.attention_file(catalog, "attend", "fake_sub-00", "mean")
    with pytest.raises(WorkbenchError, match="refused"):
        files.prediction_file(catalog, "segment", "fake_sub-00")


def test_a_link_out_of_the_run_is_refused(catalog, own_runs):
    path = own_runs / "attend" / "volumes" / "fake_sub-00_desc-attnmean_map.nii.gz"
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(WorkbenchError, match="refused"):
        files.attention_file(catalog, "attend", "fake_sub-00", "mean")


@pytest.mark.parametrize("run", ["../embed", "/", "", "embed/../embed", "nobody"])
def test_runs_are_looked_up_and_never_joined(catalog, run):
    with pytest.raises(WorkbenchError, match="no such run"):
        catalog.run(run)


def test_only_checked_nifti_leaves_the_server(tmp_path):
    secret = tmp_path / "secret.nii.gz"
    secret.write_text("password")
    with pytest.raises(ScanError):
        files.read_nifti(secret)
    with pytest.raises(ScanError):
        files.read_nifti(tmp_path / "absent.nii.gz")
    huge = nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4))
    raw = bytearray(huge.to_bytes())
    raw[42:48] = np.array([30000, 30000, 30000], "<i2").tobytes()  # a header that asks for 27 tera-voxels
    (tmp_path / "huge.nii").write_bytes(raw)
    with pytest.raises(ScanError, match="too large"):
        files.read_nifti(tmp_path / "huge.nii")


def test_the_affine_goes_with_the_bytes(tmp_path, catalog):
    row = files.case_row(catalog.cohort("embed"), "fake_sub-02")
    nifti = files.read_nifti(files.scan_file(row))
    np.testing.assert_allclose(np.reshape(nifti.affine, (4, 4)), nib.load(row["path"]).affine)
    assert json.dumps(nifti.affine) and nifti.content == files.scan_file(row).read_bytes()


@pytest.mark.parametrize(("axcodes", "oblique"), [("RAS", 0), ("LAS", 0), ("LPI", 0), ("PSR", 0), ("RAS", 15)])
@pytest.mark.parametrize("step", [2, 3])
def test_a_coarse_file_holds_voxels_of_the_whole_at_their_places(tmp_path, axcodes, oblique, step):
    whole = phantom(axcodes, oblique=oblique)
    path = write_volume(tmp_path / "scan.nii.gz", whole)
    made = files.read_coarse(path, step)
    image = nib.Nifti1Image.from_bytes(made.content)
    data, affine = image.get_fdata(), np.array(made.affine).reshape(4, 4)
    assert np.allclose(image.affine, affine, atol=1e-4)
    assert data.shape == tuple(len(range((step - 1) // 2, n, step)) for n in whole.data.shape)
    places = np.stack(np.meshgrid(*map(np.arange, data.shape), indexing="ij"), -1) @ affine[:3, :3].T + affine[:3, 3]
    assert np.allclose(data, intensity(places), atol=0.01)  # the head's value at the place that is told


def test_stored_numbers_keep_their_type_and_scaled_ones_their_values(tmp_path):
    numbers = np.arange(8 * 8 * 8, dtype=np.int16).reshape(8, 8, 8)
    nib.save(nib.Nifti1Image(numbers, np.eye(4)), tmp_path / "plain.nii.gz")
    plain = nib.Nifti1Image.from_bytes(files.read_coarse(tmp_path / "plain.nii.gz", 2).content)
    assert plain.get_data_dtype() == np.int16 and (np.asarray(plain.dataobj) == numbers[::2, ::2, ::2]).all()
    scaled = nib.Nifti1Image(numbers, np.eye(4))
    scaled.header.set_slope_inter(0.5, 3)
    nib.save(scaled, tmp_path / "scaled.nii.gz")
    expected = nib.load(tmp_path / "scaled.nii.gz").get_fdata()[::2, ::2, ::2]
    found = nib.Nifti1Image.from_bytes(files.read_coarse(tmp_path / "scaled.nii.gz", 2).content).get_fdata()
    assert np.allclose(found, expected)


def test_a_scan_without_a_file_is_told_by_its_name():
    with pytest.raises(WorkbenchError, match="sub-1: no file to show"):
        files.scan_file({"scan_id": "sub-1", "path": ""})


def test_heads_are_in_order(catalog):
    assert files.attention_heads(catalog, "attend") == ["mean", "1", "2"]
