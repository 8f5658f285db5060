import numpy as np
import pytest

from workbench.errors import ScanError
from workbench.explorer.overlays.error_map import against_map, error_map
from workbench.testing import phantom_grid, phantom_labels
from workbench.volumes import Volume

CODES = [[2], [1]]  # the prediction's 1 is the true 2


def told(truth: Volume) -> np.ndarray:
    return np.where(truth.data == 2, 1, np.where(truth.data == 1, 2, 0))


def test_a_perfect_prediction_has_no_errors():
    truth = phantom_labels(phantom_grid("PSR", oblique=10))
    errors = error_map(truth, Volume(told(truth), truth.affine), CODES)
    assert ((errors.volume.data == 1) == (truth.data > 0)).all() and errors.ml[1:] == (0, 0, 0)
    assert errors.ml[0] == pytest.approx((truth.data > 0).sum() * 8 / 1000)


def test_every_kind_of_error_is_where_it_was_put():
    truth = phantom_labels(phantom_grid("LAS"))
    data = told(truth)
    left, right = np.argwhere(truth.data == 2), np.argwhere(truth.data == 1)
    data[tuple(left[0])], data[tuple(left[1])], data[0, 0, 0], data[tuple(right[0])] = 0, 2, 1, 0
    errors = error_map(truth, Volume(data, truth.affine), CODES).volume.data
    assert [errors[tuple(p)] for p in (left[0], left[1], (0, 0, 0), right[0])] == [3, 4, 2, 3]
    assert (errors == 1).sum() == (truth.data > 0).sum() - 3


def test_other_true_codes_are_background():
    truth = phantom_labels(phantom_grid())
    only_left = error_map(truth, Volume((truth.data == 2).astype(int), truth.affine), [[2]])
    assert only_left.ml[1:] == (0, 0, 0)


def test_other_grids_are_refused():
    truth = phantom_labels(phantom_grid())
    moved = truth.affine.copy()
    moved[0, 3] += 2
    with pytest.raises(ScanError, match="different grids"):
        error_map(truth, Volume(told(truth), moved), CODES)


def test_two_runs_are_held_against_the_truth_voxel_by_voxel():
    truth = phantom_labels(phantom_grid("LAS"))
    first, second = told(truth), np.where(told(truth) == 1, 5, 0)  # B calls it 5, and does not know the right one
    left = np.argwhere(truth.data == 2)
    first[tuple(left[0])], second[tuple(left[1])], first[tuple(left[2])], second[tuple(left[2])] = 0, 0, 0, 0
    second[0, 0, 0] = 5  # A rightly leaves it out
    codes = [([2], 1, 5)]
    found = against_map(truth, Volume(first, truth.affine), Volume(second, truth.affine), codes)
    classes = found.volume.data
    assert [classes[tuple(p)] for p in (left[0], left[1], left[2], (0, 0, 0), left[3])] == [3, 2, 4, 2, 1]
    assert (classes > 0).sum() == len(left) + 1 and not classes[truth.data == 1].any()
    assert found.ml == pytest.approx([0.008 * n for n in (len(left) - 3, 2, 1, 1)])
    turned = against_map(truth, Volume(second, truth.affine), Volume(first, truth.affine), [([2], 5, 1)])
    assert turned.ml[1:3] == found.ml[2:0:-1]
