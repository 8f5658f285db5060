import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.explorer.viewer.brain_box import brain_box
from workbench.testing import phantom_grid


@pytest.mark.parametrize(("axcodes", "oblique"), [("RAS", 0), ("LAS", 0), ("LPI", 0), ("PSR", 0), ("RAS", 15)])
def test_shares_of_the_box_end_at_the_outer_edges_of_its_voxels(axcodes, oblique):
    grid = phantom_grid(axcodes, oblique=oblique)
    px, py, pz = grid.shape
    box = brain_box({"affine": list(grid.affine.ravel()), "px": px, "py": py, "pz": pz})
    middle = grid.affine @ [(px - 1) / 2, (py - 1) / 2, (pz - 1) / 2, 1]
    assert np.allclose(box @ [0.5, 0.5, 0.5, 1], middle)
    assert np.allclose(box @ [0, 0, 0, 1], grid.affine @ [-0.5, -0.5, -0.5, 1])
    assert np.allclose(box @ [1, 1, 1, 1], grid.affine @ [px - 0.5, py - 0.5, pz - 0.5, 1])


@given(st.floats(0.5, 2), st.tuples(*[st.floats(-50, 50)] * 3), st.tuples(*[st.floats(0, 1)] * 3))
def test_a_brain_that_is_larger_and_elsewhere_has_the_same_shares(size, shift, share):
    one = {"affine": list(np.eye(4).ravel()), "px": 60, "py": 70, "pz": 50}
    other = np.diag([size, size, size, 1.0])
    other[:3, 3] = shift
    here, there = brain_box(one), brain_box({**one, "affine": list(other.ravel())})
    assert np.allclose(there @ [*share, 1], other @ here @ [*share, 1])


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"affine": None, "px": 1, "py": 1, "pz": 1},
        {"affine": [1.0] * 16, "px": 5, "py": 5, "pz": 5},
        {"affine": list(np.eye(4).ravel()), "px": 5, "py": float("nan"), "pz": 5},
        {"affine": list(np.eye(4).ravel()), "px": 5, "py": 0, "pz": 5},
        {"affine": "no", "px": 5, "py": 5, "pz": 5},
        {"affine": [1.0] * 5, "px": 5, "py": 5, "pz": 5},
    ],
)
def test_what_is_no_box_is_none(row):
    assert brain_box(row) is None
