import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.distance import dice as scipy_dissimilarity

from workbench.measures.structures import dice, structure_scores

THICK = np.diag([0.8, 1.0, 3.0, 1.0])


@given(seed=st.integers(0, 10_000), share=st.floats(0.05, 0.95))
def test_dice_agrees_with_scipy_and_is_symmetric(seed, share):
    rng = np.random.default_rng(seed)
    a, b = (rng.random((4, 5, 3)) < share for _ in range(2))
    if a.any() or b.any():
        assert dice(a, b) == pytest.approx(1 - scipy_dissimilarity(a.ravel(), b.ravel()))
        assert dice(a, b) == dice(b, a)


def box(low, high, shape=(30, 30, 20)):
    out = np.zeros(shape, bool)
    out[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return out


def ball(radius, shape=(40, 40, 40), spacing=(1.0, 1.0, 1.0), centre=(0.0, 0.0, 0.0)):
    grid = np.stack(np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in shape), indexing="ij"), -1) * spacing
    return ((grid - centre) ** 2).sum(-1) <= radius**2


def test_grids_must_agree():
    with pytest.raises(ValueError, match="different grids"):
        structure_scores(np.zeros((2, 2, 2), bool), np.zeros((2, 2, 3), bool), np.eye(4))


def test_a_perfect_segmentation():
    scores = structure_scores(box((5, 5, 5), (15, 12, 9)), box((5, 5, 5), (15, 12, 9)), THICK)
    assert scores["dice"] == 1 and scores["hd95_mm"] == 0 and scores["surface_dice_1mm"] == 1
    assert scores["volume_error_ml"] == 0 and scores["empty"] == ""
    assert scores["volume_ml"] == pytest.approx(10 * 7 * 4 * 2.4 / 1000)


def by_definition(a, b, spacing):
    """The larger of the two 95th percentiles of the distances from one surface's voxels to the other's."""
    surfaces = [m & ~ndimage.binary_erosion(m) for m in (a, b)]
    distances = [ndimage.distance_transform_edt(~s, sampling=spacing) for s in surfaces]
    return max(np.percentile(distances[1][surfaces[0]], 95), np.percentile(distances[0][surfaces[1]], 95))


@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.8, 1.0, 3.0), (3.0, 0.5, 1.2)])
def test_hd95_is_its_definition_in_millimetres_of_thick_slices(spacing):
    rng = np.random.default_rng(0)
    blobs = [ndimage.gaussian_filter(rng.normal(size=(24, 20, 16)), 2) > 0.03 for _ in range(2)]
    turned = np.diag([*spacing, 1.0])
    turned[:3, :3] = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]]) @ turned[:3, :3]  # a rotation changes no distance
    assert structure_scores(*blobs, turned)["hd95_mm"] == pytest.approx(by_definition(*blobs, spacing), rel=1e-5)


def test_one_voxel_counts_by_its_edge():
    """A shift by one voxel is within 1 mm along the thin axis and beyond it along the thick one."""
    truth = box((5, 5, 5), (15, 15, 15))
    thin, thick = (structure_scores(np.roll(truth, 1, axis), truth, THICK) for axis in (0, 2))
    assert thin["dice"] == thick["dice"]
    assert thin["hd95_mm"] == pytest.approx(0.8) and thick["hd95_mm"] == pytest.approx(3.0)
    # along the thick axis two of six faces leave: (8 · 10) mm² of 2 (8 · 10 + 8 · 30 + 10 · 30), and a rim of sides
    faces = 1 - 80 / (80 + 240 + 300)
    assert thin["surface_dice_1mm"] > 0.98 and faces - 0.1 < thick["surface_dice_1mm"] < faces + 0.02


def test_surface_dice_of_balls_a_known_distance_apart():
    near, far, truth = ball(10.6), ball(13.0), ball(10.0)
    assert structure_scores(near, truth, np.eye(4))["surface_dice_1mm"] > 0.98
    assert structure_scores(far, truth, np.eye(4))["surface_dice_1mm"] < 0.02


def test_the_same_shape_scores_alike_on_a_thick_grid():
    """Two balls 4 mm apart, at 1 mm and in slices of 2 mm: millimetres agree, voxels would not."""
    fine, thick = [
        structure_scores(*(ball(9, (41, 41, n), (1, 1, s), (x, 0, 0)) for x in (2.0, -2.0)), np.diag([1, 1, s, 1]))
        for n, s in ((41, 1.0), (21, 2.0))
    ]
    assert fine["hd95_mm"] == pytest.approx(thick["hd95_mm"], abs=0.4)
    assert fine["surface_dice_1mm"] == pytest.approx(thick["surface_dice_1mm"], abs=0.08)
    assert fine["volume_ml"] == pytest.approx(4 / 3 * math.pi * 0.9**3, rel=0.03)


def test_volume_error_is_signed_and_of_sheared_voxels_too():
    sheared = np.diag([1.0, 1, 2, 1])
    sheared[0, 1] = 0.5
    scores = structure_scores(box((2, 2, 2), (7, 6, 6)), box((2, 2, 2), (6, 6, 6)), sheared)
    assert scores["volume_error_ml"] == pytest.approx(16 * 2 / 1000)
    assert scores["volume_error_percent"] == pytest.approx(25)


def test_conventions_for_nothing():
    none, some = np.zeros((4, 5, 6), bool), box((1, 1, 1), (3, 3, 3), (4, 5, 6))
    assert math.isnan(dice(none, none)) and dice(none, some) == 0 and dice(some, none) == 0 and dice(some, some) == 1
    diagonal = math.sqrt((3 * 0.8) ** 2 + 4**2 + (5 * 3) ** 2)
    missed, invented, right = (structure_scores(p, t, THICK) for p, t in ((none, some), (some, none), (none, none)))
    for scores, who in ((missed, "prediction"), (invented, "truth")):
        assert scores["dice"] == 0 and scores["surface_dice_1mm"] == 0 and scores["empty"] == who
        assert scores["hd95_mm"] == pytest.approx(diagonal)
    assert missed["volume_error_percent"] == -100 and math.isnan(invented["volume_error_percent"])
    assert invented["volume_error_ml"] == -missed["volume_error_ml"] == pytest.approx(8 * 2.4 / 1000)
    assert right["empty"] == "both" and right["volume_error_ml"] == 0
    assert all(math.isnan(right[k]) for k in ("dice", "hd95_mm", "surface_dice_1mm", "volume_error_percent"))


def test_a_structure_at_the_border_of_the_scan_is_scored():
    edge = box((0, 0, 0), (6, 6, 6), (10, 10, 10))
    assert structure_scores(edge, edge, np.eye(4))["hd95_mm"] == 0
    assert structure_scores(np.roll(edge, 2, 0), edge, np.eye(4))["hd95_mm"] == pytest.approx(2)
