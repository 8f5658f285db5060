import numpy as np
import pytest

from workbench.errors import ScanError
from workbench.explorer.overlays.error_map import error_map
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
