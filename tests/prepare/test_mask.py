from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from workbench.errors import ScanError
from workbench.prepare.mask import _fill_holes, find_mask, not_background, otsu_head
from workbench.testing import phantom
from workbench.volumes import Volume


def head(noise: float = 3.0, *, zeros: int = 0) -> Volume:
    """A whole head of about 3.6 l: skin, dark skull, dark fluid, brain; noise in the air; ``zeros`` planes padded."""
    n, spacing = 48, 5.0
    x, y, z = (np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij")) - (n - 1) / 2) * spacing
    data = np.zeros((n, n, n))
    for radius, value in ((95.0, 80.0), (85, 10), (75, 20), (68, 100)):
        data[x**2 + y**2 + z**2 < radius**2] = value
    data[(np.hypot(x, y) < 8) & (z < 0)] = 20  # fluid open to the outside at the cut neck
    data[..., :8] = 0
    data = np.abs(data + np.random.default_rng(0).normal(0, noise, data.shape))
    if zeros:
        data[:zeros] = data[-zeros:] = data[:, :zeros] = data[:, -zeros:] = data[..., :zeros] = data[..., -zeros:] = 0
    return Volume(np.rint(data).astype(np.float32), np.diag([spacing, spacing, spacing, 1]))


@pytest.mark.parametrize("background", [0.0, -1024.0, 37.0])
def test_a_stripped_scan_tells_its_own_mask_whatever_its_background(background: float) -> None:
    scan = phantom("PSR")
    brain = scan.data > 0
    shifted = Volume(np.where(brain, scan.data, background).astype(np.float32), scan.affine)
    mask, kind = find_mask(shifted, "auto", None)
    assert kind == "nonzero" and np.array_equal(mask.data, brain)


def test_islands_are_dropped_and_holes_filled() -> None:
    scan = phantom()
    brain = scan.data > 0
    scan.data[1, 1, 1] = 50
    scan.data[12:15, 14:16, 11:13] = 0
    assert np.array_equal(not_background(scan.data), brain)


@pytest.mark.parametrize("zeros", [0, 4])
def test_a_whole_head_is_a_head_and_keeps_its_fluid(zeros: int) -> None:
    scan = head(zeros=zeros)
    mask, kind = find_mask(scan, "auto", None)
    assert kind == "head"
    index = np.indices(mask.data.shape) - 23.5
    radius = np.linalg.norm(index, axis=0) * 5
    in_view = index[2] * 5 > -70
    assert mask.data[(radius < 90) & in_view].mean() > 0.99
    assert mask.data[radius > 105].mean() < 0.01


def test_a_crop_inside_the_brain_counts_as_brain() -> None:
    data = np.random.default_rng(0).normal(100, 10, (30, 40, 30)).astype(np.float32)
    mask, kind = find_mask(Volume(data, np.eye(4)), "auto", None)
    assert kind == "whole" and mask.data.all()


def test_a_given_mask_wins_and_may_be_a_probability() -> None:
    scan = phantom()
    given = np.zeros(scan.data.shape, np.float32)
    given[5:20, 5:20, 5:20] = 0.8
    given[5:20, 5:20, 4] = 0.2
    mask, kind = find_mask(scan, "auto", Volume(given, scan.affine))
    assert kind == "given" and mask.data.sum() == 15**3
    labels = Volume(np.where(given > 0.5, 3.0, 0).astype(np.float32), scan.affine)
    labels.data[6, 6, 6] = 2035
    assert find_mask(scan, "given", labels)[0].data.sum() == 15**3
    assert find_mask(scan, "nonzero", labels)[1] == "nonzero"
    assert find_mask(scan, "head", labels)[1] == "head"


def test_a_mask_that_is_asked_for_and_missing_or_empty_is_a_reason() -> None:
    with pytest.raises(ScanError, match="no mask file"):
        find_mask(phantom(), "given", None)
    with pytest.raises(ScanError, match="empty"):
        find_mask(phantom(), "given", Volume(np.zeros((5, 5, 5), np.float32), np.eye(4)))


def test_otsu_is_not_moved_by_a_few_very_bright_voxels() -> None:
    scan = head()
    before = otsu_head(scan.data)
    scan.data[20:22, 20:22, 20:22] = 1e5
    assert (otsu_head(scan.data) != before).mean() < 0.01


def test_hole_filling_agrees_with_scipy() -> None:
    rng = np.random.default_rng(1)
    for _ in range(5):
        mask = ndimage.gaussian_filter(rng.random((9, 10, 11)), 1) > 0.5
        assert np.array_equal(_fill_holes(mask), ndimage.binary_fill_holes(mask))
        for axis in range(3):
            slices = [ndimage.binary_fill_holes(s) for s in np.moveaxis(mask, axis, 0)]
            assert np.array_equal(_fill_holes(mask, axis), np.stack(slices, axis))
