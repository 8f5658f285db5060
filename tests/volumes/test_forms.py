"""Where a header says three times where its voxels lie, it must say the same."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from workbench.errors import ScanError
from workbench.volumes import Guess, read_grid, read_remarks, read_volume

AFFINE = np.diag([2.0, 2, 3, 1])
AFFINE[:3, 3] = -10, -12, -14
DATA = np.random.default_rng(0).integers(0, 900, (9, 8, 7)).astype(np.int16)


def moved(by: list[float]) -> np.ndarray:
    out = AFFINE.copy()
    out[:3, 3] += by
    return out


def write(path: Path, sform: np.ndarray, qform: np.ndarray, codes: tuple[int, int] = (1, 1)) -> Path:
    image = nib.Nifti1Image(DATA, AFFINE)
    image.set_sform(sform, codes[0])
    image.set_qform(qform, codes[1])
    nib.save(image, path)
    return path


def mirrored() -> np.ndarray:
    return AFFINE @ np.diag([-1.0, 1, 1, 1])


@pytest.mark.parametrize(
    ("qform", "cause"),
    [
        (mirrored(), "left and right"),
        (AFFINE @ np.diag([1, 1, 1.5, 1]), "2 x 2 x 4.5 by the qform"),
        (moved([0, 30, 0]), "30.0 mm apart"),
    ],
)
def test_a_contradiction_is_told(tmp_path: Path, qform: np.ndarray, cause: str) -> None:
    with pytest.raises(ScanError, match="contradict each other") as told:
        read_grid(write(tmp_path / "a.nii.gz", AFFINE, qform))
    assert cause in told.value.cause


def test_a_sform_that_was_moved_to_another_space_is_taken_with_a_remark(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii", moved([0, 30, 0]), AFFINE, (2, 1))
    assert read_grid(path).affine[1, 3] == 18
    (remark,) = read_remarks(path)
    assert "30.0 mm apart" in remark and isinstance(remark, Guess)
    assert not read_remarks(write(tmp_path / "b.nii", AFFINE, moved([0.01, 0, 0]), (2, 1)))


def test_the_voxel_size_of_the_header_counts_where_there_is_no_qform(tmp_path: Path) -> None:
    image = nib.Nifti1Image(DATA, AFFINE)
    image.set_qform(None, 0)
    image.header["pixdim"][1:4] = 1, 1, 1
    nib.save(image, tmp_path / "a.nii")
    with pytest.raises(ScanError, match="pixdim"):
        read_grid(tmp_path / "a.nii")


@pytest.mark.parametrize(("unit", "factor"), [("meter", 0.001), ("micron", 1000.0), ("mm", 1.0), ("unknown", 1.0)])
def test_units_of_the_header(tmp_path: Path, unit: str, factor: float) -> None:
    affine = AFFINE.copy()
    affine[:3] *= factor
    image = nib.Nifti1Image(DATA, affine)
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii")
    assert np.allclose(read_grid(tmp_path / "a.nii").affine, AFFINE, rtol=1e-5)
    assert bool(read_remarks(tmp_path / "a.nii")) == (factor != 1)


@pytest.mark.parametrize("name", ["a.mgz", "a.mgh", "a.img"])
def test_other_formats_hold_the_same(tmp_path: Path, name: str) -> None:
    kind = nib.Nifti1Pair if name.endswith(".img") else nib.MGHImage
    nib.save(kind(DATA, AFFINE), tmp_path / name)
    volume = read_volume(tmp_path / name)
    assert np.array_equal(volume.data, DATA) and np.allclose(volume.affine, AFFINE, atol=1e-4)


def test_analyze_does_not_say_which_side_is_left(tmp_path: Path) -> None:
    nib.save(nib.AnalyzeImage(DATA, None), tmp_path / "a.img")
    with pytest.raises(ScanError, match="which side is left"):
        read_volume(tmp_path / "a.img")
    (tmp_path / "a.hdr").unlink()
    with pytest.raises(ScanError, match="half of a pair"):
        read_volume(tmp_path / "a.img")


@pytest.mark.parametrize("degrees", [90, 180])
def test_no_alignment_turns_a_head_so_far(tmp_path: Path, degrees: int) -> None:
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("z", degrees, degrees=True).as_matrix()
    with pytest.raises(ScanError, match="contradict each other") as told:
        read_grid(write(tmp_path / "a.nii", AFFINE, turn @ AFFINE, (4, 1)))
    assert f"{degrees} degrees" in told.value.cause
    turn[:3, :3] = Rotation.from_euler("x", 30, degrees=True).as_matrix()
    assert "apart" in read_remarks(write(tmp_path / "b.nii", AFFINE, turn @ AFFINE, (4, 1)))[0]


def test_an_affine_that_says_nothing_is_told(tmp_path: Path) -> None:
    (remark,) = read_remarks(write(tmp_path / "a.nii", np.eye(4), np.eye(4)))
    assert "identity" in remark and isinstance(remark, Guess)


def test_units_that_make_no_millimetres_are_refused_by_their_name(tmp_path: Path) -> None:
    image = nib.Nifti1Image(DATA, AFFINE)
    image.header.set_xyzt_units("micron")
    nib.save(image, tmp_path / "a.nii")
    with pytest.raises(ScanError, match="voxel size is not plausible") as told:
        read_grid(tmp_path / "a.nii")
    assert "units of a micron" in told.value.cause


def test_axes_that_are_not_at_right_angles_are_told(tmp_path: Path) -> None:
    sheared = AFFINE.copy()
    sheared[0, 1] = 0.5
    image = nib.Nifti1Image(DATA, sheared)
    image.set_qform(None, 0)
    image.header["pixdim"][1:4] = np.linalg.norm(sheared[:3, :3], axis=0)
    nib.save(image, tmp_path / "a.nii")
    (remark,) = read_remarks(tmp_path / "a.nii")
    assert "14 degrees off right angles" in remark and not isinstance(remark, Guess), "it is what the file says"
    assert not read_remarks(write(tmp_path / "b.nii", AFFINE, AFFINE))
