import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import dice as scipy_dissimilarity

from workbench.finetune.metrics import dice


@given(seed=st.integers(0, 10_000), share=st.floats(0.05, 0.95))
def test_dice_agrees_with_scipy_and_is_symmetric(seed, share):
    rng = np.random.default_rng(seed)
    a, b = (rng.random((4, 5, 3)) < share for _ in range(2))
    if a.any() or b.any():
        assert dice(a, b) == pytest.approx(1 - scipy_dissimilarity(a.ravel(), b.ravel()))
        assert dice(a, b) == dice(b, a)


def test_conventions_for_nothing():
    none, some = np.zeros((3, 3, 3), bool), np.ones((3, 3, 3), bool)
    assert math.isnan(dice(none, none)) and dice(none, some) == 0 and dice(some, none) == 0 and dice(some, some) == 1


def test_grids_must_agree():
    with pytest.raises(ValueError, match="different grids"):
        dice(np.zeros((2, 2, 2), bool), np.zeros((2, 2, 3), bool))
