"""Left stays left: the marker is found at its world position however the scan is stored, moved or written."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.testing import HIPPOCAMPI_MM, MARKER_MM, intensity, phantom, phantom_grid, phantom_labels
from workbench.volumes import Grid, Volume, canonical, read_grid, read_volume, resample, spaced_grid, write_volume

STORED = [("RAS", 0.0), ("LAS", 0.0), ("LPI", 0.0), ("PSR", 0.0), ("RAS", 12.0), ("PSR", 8.0)]
stored = pytest.mark.parametrize(("axcodes", "oblique"), STORED)
any_axcodes = (
    st.permutations(["RL", "AP", "SI"]).flatmap(lambda axes: st.tuples(*map(st.sampled_from, axes))).map("".join)
)


def marker(volume: Volume) -> np.ndarray:
    """World centre of the brightest part."""
    return volume.grid.to_world(np.argwhere(volume.data > 250)).mean(axis=0)


def world(grid: Grid) -> np.ndarray:
    return grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1))


@stored
def test_written_and_read_again_nothing_moves(tmp_path: Path, axcodes: str, oblique: float) -> None:
    scan = phantom(axcodes, spacing=(1.8, 2, 2.5), oblique=oblique)
    path = write_volume(tmp_path / "scan.nii.gz", scan, sidecar={"Simulated": True})
    again = read_volume(path)
    assert again.axcodes == axcodes
    np.testing.assert_array_equal(again.data, scan.data)
    np.testing.assert_allclose(again.affine, scan.affine, atol=1e-4)  # NIfTI stores float32
    np.testing.assert_allclose(marker(again), MARKER_MM, atol=1)
    assert (tmp_path / "scan.json").is_file()
    assert read_grid(path).shape == scan.data.shape
    header = nib.load(path).header  # a reader that prefers the qform must see the same world
    np.testing.assert_allclose(header.get_qform(), header.get_sform(), atol=1e-3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scan.json", "scan.nii.gz"]


def test_a_sheared_affine_is_kept_and_no_false_qform_written(tmp_path: Path) -> None:
    scan = phantom()
    sheared = scan.affine.copy()
    sheared[0, 1] = 0.7
    path = write_volume(tmp_path / "scan.nii.gz", Volume(scan.data, sheared))
    np.testing.assert_allclose(read_volume(path).affine, sheared, atol=1e-4)
    assert int(nib.load(path).header["qform_code"]) == 0


@stored
def test_canonical_turns_axes_and_leaves_the_world(axcodes: str, oblique: float) -> None:
    scan = phantom(axcodes, oblique=oblique)
    turned = canonical(scan)
    assert turned.axcodes == "RAS"
    np.testing.assert_allclose(marker(turned), marker(scan), atol=1e-6)
    assert sorted(turned.data.ravel()) == sorted(scan.data.ravel())
    if not oblique:  # index order alone now tells the side: low index = left
        assert np.argwhere(turned.data > 250)[:, 0].mean() < turned.data.shape[0] / 2


@pytest.mark.parametrize("dtype", [np.float16, np.int64, bool, np.int32])
def test_canonical_takes_any_type(dtype: type) -> None:
    scan = phantom("PSR")
    assert canonical(Volume((scan.data > 0).astype(dtype), scan.affine)).data.dtype == dtype


@stored
@pytest.mark.parametrize("spacing", [2.0, 1.5, 3.0])
def test_resampled_the_marker_is_at_its_place(axcodes: str, oblique: float, spacing: float) -> None:
    scan = phantom(axcodes, oblique=oblique)
    moved = resample(scan, spaced_grid(scan.grid, spacing))
    assert moved.axcodes == "RAS" and moved.spacing == (spacing,) * 3
    np.testing.assert_allclose(marker(moved), MARKER_MM, atol=1)
    labels = resample(phantom_labels(scan.grid), moved.grid, order=0)
    assert set(np.unique(labels.data)) == {0, 1, 2}
    for code, centre in HIPPOCAMPI_MM.items():
        place = moved.grid.to_world(np.argwhere(labels.data == code)).mean(axis=0)
        np.testing.assert_allclose(place, centre, atol=1)


@stored
def test_there_and_back_the_values_return(axcodes: str, oblique: float) -> None:
    """Own space → isotropic RAS → own space: the way of every attention map and segmentation."""
    scan = phantom(axcodes, oblique=oblique)
    labels = phantom_labels(scan.grid)
    there = resample(labels, spaced_grid(scan.grid, 1.0), order=0)
    back = resample(there, scan.grid, order=0)
    assert back.grid.axcodes == axcodes and back.data.shape == scan.data.shape
    assert (back.data == labels.data).mean() > 0.999


@settings(max_examples=40, deadline=None)
@given(axcodes=any_axcodes, spacing=st.floats(0.7, 2.3), crop=st.integers(-3, 3))
def test_flips_and_permutations_are_exact_to_the_edge(axcodes: str, spacing: float, crop: int) -> None:
    scan = phantom(axcodes, spacing=(spacing,) * 3, shape=(8, 9, 7), noise=1)
    scan = Volume(scan.data + 1, scan.affine)  # nothing is 0, so a lost outer slice would show
    turned = canonical(scan)
    for order in (0, 1):
        np.testing.assert_allclose(resample(scan, turned.grid, order=order).data, turned.data, rtol=1e-5)
    affine = turned.affine.copy()
    affine[:3, 3] += crop * spacing  # a whole-voxel shift of the window
    shifted = resample(scan, Grid((8, 9, 7), affine), fill=-1).data
    low, high = max(0, crop), min(7, 7 + crop)
    cut = (slice(low, high),) * 3
    np.testing.assert_allclose(
        shifted[tuple(slice(low - crop, high - crop) for _ in range(3))], turned.data[cut], rtol=1e-5
    )
    assert (shifted == -1).sum() == shifted.size - np.prod([n - abs(crop) for n in (8, 9, 7)])


@settings(max_examples=30, deadline=None)
@given(axcodes=any_axcodes, oblique=st.floats(0.5, 20), spacing=st.floats(1, 4))
def test_interpolation_agrees_with_the_head_itself(axcodes: str, oblique: float, spacing: float) -> None:
    """Inside the head the intensity is linear in the world, which linear interpolation must reproduce."""
    scan = phantom(axcodes, spacing=(2, 2, 2), oblique=oblique)
    moved = resample(scan, phantom_grid("RAS", spacing=(spacing,) * 3, shape=(7, 7, 7)), antialias=False)
    where = world(moved.grid)
    plain = ((where / [14, 18, 12]) ** 2).sum(-1) < 1
    plain &= ((where - MARKER_MM) ** 2).sum(-1) > 9**2
    np.testing.assert_allclose(moved.data[plain], intensity(where)[plain], rtol=1e-3)


@settings(max_examples=40, deadline=None)
@given(axcodes=any_axcodes, oblique=st.floats(0, 20), spacing=st.floats(0.8, 4))
def test_the_spaced_grid_covers_its_source(axcodes: str, oblique: float, spacing: float) -> None:
    source = phantom_grid(axcodes, shape=(9, 11, 8), oblique=oblique)
    grid = spaced_grid(source, spacing)
    voxels = grid.to_voxel(world(source)).reshape(-1, 3)
    assert (voxels >= -1e-3).all() and (voxels <= np.array(grid.shape) - 1 + 1e-3).all()
    np.testing.assert_allclose(source.to_voxel(source.to_world(np.array([1, 2, 3]))), [1, 2, 3], atol=1e-9)


def test_a_box_limits_the_spaced_grid() -> None:
    grid = spaced_grid(phantom_grid("LAS"), 2.0, (np.array([-13, -3, 1]), np.array([-3, 5, 7])))
    first, last = grid.to_world(np.zeros(3)), grid.to_world(np.array(grid.shape) - 1)
    assert (first <= [-13, -3, 1]).all() and (first > [-15, -5, -1]).all()
    assert (last >= [-3, 5, 7]).all() and (last < [-1, 7, 9]).all()


def test_antialias_keeps_the_mean_when_shrinking() -> None:
    rng = np.random.default_rng(0)
    noise = Volume(rng.normal(size=(40, 40, 40)).astype(np.float32), np.eye(4))
    coarse = phantom_grid(spacing=(4, 4, 4), shape=(8, 8, 8))
    coarse = Grid(coarse.shape, coarse.affine + np.array([[0, 0, 0, 19.5]] * 3 + [[0] * 4]))
    plain, blurred = (resample(noise, coarse, antialias=on).data.std() for on in (False, True))
    assert blurred < plain / 3


def test_a_volume_is_three_dimensional_with_an_affine() -> None:
    with pytest.raises(ValueError, match="3D"):
        Volume(np.zeros((2, 2)), np.eye(4))
