import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from workbench.engine.views import ViewParams, change_intensities, crop_boxes, crop_by_grid, identity_view
from workbench.pretrain.config import ViewSettings
from workbench.pretrain.views import draw_view

PLAIN = {"gamma": 0.0, "bias": np.zeros(10), "noise": 0.0, "blur": 0.0, "seed": 0}


def as_batch(volume: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(volume.astype(np.float32))[None, None]


def matrix_of(params: ViewParams) -> torch.Tensor:
    return torch.from_numpy(params.matrix)[None]


def test_identity_is_exact():
    volume = np.random.default_rng(0).normal(size=(7, 9, 11))
    out = crop_boxes(as_batch(volume), matrix_of(identity_view(volume.shape)), volume.shape)
    torch.testing.assert_close(out[0, 0].numpy(), volume.astype(np.float32), atol=1e-5, rtol=0)


@given(seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_agrees_with_scipy_for_the_same_matrix(seed):
    """The one resampling is the affine it says it is, whatever the axes of torch: scipy is the referee."""
    rng = np.random.default_rng(seed)
    volume = rng.normal(size=(12, 14, 10))
    view = draw_view(rng, ViewSettings(scale=(0.2, 0.9), rotation=30), volume.shape, (8, 8, 8))
    ours = crop_boxes(as_batch(volume), matrix_of(view), (8, 8, 8))[0, 0].numpy()
    theirs = ndimage.affine_transform(volume, view.matrix[:, :3], view.matrix[:, 3], output_shape=(8, 8, 8), order=1,
                                      mode="grid-constant")
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@given(seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_the_box_holds_everything_the_view_needs(seed):
    """Reading only the box gives the same view as reading the whole scan."""
    rng = np.random.default_rng(seed)
    volume = rng.normal(size=(20, 24, 18))
    view = draw_view(rng, ViewSettings(rotation=20), volume.shape, (8, 8, 8))
    low, high = view.box((8, 8, 8))
    low, high = np.maximum(low, 0), np.minimum(high, volume.shape)
    box = volume[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    inside = view.matrix.copy()
    inside[:, 3] -= low
    whole = crop_boxes(as_batch(volume), matrix_of(view), (8, 8, 8))
    part = crop_boxes(as_batch(box), torch.from_numpy(inside)[None], (8, 8, 8))
    torch.testing.assert_close(whole, part, atol=1e-4, rtol=0)


def test_both_ways_of_resampling_agree_and_leave_torchs_threads_alone():
    """The CPU's loop is `grid_sample` in other words, also where a view reaches beyond its box."""
    threads = torch.get_num_threads()
    boxes = torch.randn(3, 1, 12, 15, 10)
    rng = np.random.default_rng(0)
    matrices = torch.from_numpy(np.stack([draw_view(rng, ViewSettings(scale=(0.9, 1), rotation=40), (14, 14, 14),
                                                    (9, 8, 10)).matrix for _ in range(3)]))
    torch.testing.assert_close(crop_boxes(boxes, matrices, (9, 8, 10)), crop_by_grid(boxes, matrices, (9, 8, 10)),
                               atol=1e-4, rtol=0)
    assert torch.get_num_threads() == threads


def test_flip_is_left_right_and_nothing_else():
    volume = np.random.default_rng(0).normal(size=(8, 8, 8))
    settings_ = ViewSettings(scale=(1, 1), rotation=0, flip=1)
    flipped = draw_view(np.random.default_rng(0), settings_, volume.shape, (8, 8, 8))
    out = crop_boxes(as_batch(volume), matrix_of(flipped), (8, 8, 8))[0, 0].numpy()
    np.testing.assert_allclose(out, volume[::-1], atol=1e-5)
    for seed in range(20):  # never flipped unless asked
        view = draw_view(np.random.default_rng(seed), ViewSettings(flip=0), volume.shape, (8, 8, 8))
        assert np.linalg.det(view.matrix[:, :3]) > 0


def test_a_view_covers_the_asked_share_of_the_scan():
    for seed in range(20):
        view = draw_view(np.random.default_rng(seed), ViewSettings(scale=(0.3, 0.6)), (40, 50, 30), (16, 16, 16))
        share = abs(np.linalg.det(view.matrix[:, :3])) * 16**3 / (40 * 50 * 30)
        assert 0.3 - 1e-6 <= share <= 0.6 + 1e-6


def test_no_change_is_no_change_and_background_stays_background():
    volume = torch.randn(2, 1, 8, 8, 8)
    volume[:, :, :3] = 0
    plain = ViewParams(np.eye(3, 4), **PLAIN)
    torch.testing.assert_close(change_intensities(volume, [plain, plain]), volume, atol=1e-5, rtol=0)
    strong = ViewParams(np.eye(3, 4), 0.5, np.full(10, 0.1), 0.5, 1.5, 3)
    out = change_intensities(volume, [plain, strong])
    torch.testing.assert_close(out[0], volume[0], atol=1e-5, rtol=0)  # a neighbour's changes do not leak
    assert (out[1, :, :3] == 0).all() and not torch.allclose(out[1], volume[1])


def test_blur_agrees_with_scipy():
    volume = np.zeros((15, 15, 15))
    volume[7, 7, 7] = 1.0
    volume += 1e-3  # nowhere background
    view = ViewParams(np.eye(3, 4), **{**PLAIN, "blur": 1.2})
    ours = change_intensities(as_batch(volume), [view])[0, 0].numpy()
    theirs = ndimage.gaussian_filter(volume, 1.2, mode="constant", radius=4)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_gamma_keeps_order_and_the_middle():
    ramp = torch.linspace(-3, 3, 64).reshape(1, 1, 4, 4, 4)
    out = change_intensities(ramp, [ViewParams(np.eye(3, 4), **{**PLAIN, "gamma": 0.3})]).flatten()
    assert (out.diff() > 0).all()
    brighter = ViewParams(np.eye(3, 4), **{**PLAIN, "gamma": 0.3})
    middle = change_intensities(torch.full((1, 1, 2, 2, 2), 1e-6), [brighter])
    assert middle.abs().max() < 1e-4


def test_replay_gives_the_same_view():
    volume = torch.randn(1, 1, 8, 8, 8)
    view = draw_view(np.random.default_rng(3), ViewSettings(), (8, 8, 8), (8, 8, 8))
    assert torch.equal(change_intensities(volume, [view]), change_intensities(volume, [view]))


@pytest.mark.parametrize("bad", [(0, 1), (0.6, 0.5), (0.5, 1.2)])
def test_scale_bounds(bad):
    with pytest.raises(ValueError, match="scale"):
        ViewSettings(scale=bad)
