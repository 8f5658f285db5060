from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats

from workbench.engine.view_params import ViewParams, identity_view
from workbench.engine.views import change_intensities, crop_by_grid, make_views, pad_together
from workbench.pretrain.config import ViewSettings
from workbench.pretrain.draw_views import draw_cut, draw_view

PLAIN = {"gamma": 0.0, "bias": np.zeros(10), "noise": 0.0, "blur": 0.0, "seed": 0}


CPU = torch.device("cpu")


def as_batch(volume: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(volume.astype(np.float32))[None, None]


def crop(volume: np.ndarray, matrix: np.ndarray, size: tuple[int, int, int]) -> np.ndarray:
    """One view as it is made on a CPU, its intensities unchanged."""
    return make_views([torch.from_numpy(volume.astype(np.float32))], matrix[None], None, size, CPU)[0, 0].numpy()


def by_rows(views: torch.Tensor, params: list[ViewParams]) -> torch.Tensor:
    """`change_intensities` as it is done on a CPU: the view that is the whole box."""
    return make_views(list(views[:, 0]), np.stack([np.eye(3, 4)] * len(views)), params, tuple(views.shape[2:]), CPU)


both_ways = pytest.mark.parametrize("change", [change_intensities, by_rows])


@given(seed=st.integers(0, 1000), bend=st.sampled_from([0.0, 0.02]))
@settings(max_examples=25, deadline=None)
def test_a_cut_view_is_the_view_of_a_scan_that_ends_there(seed, bend):
    rng = np.random.default_rng(seed)
    volume = rng.normal(size=(20, 24, 18)) + 5
    view = draw_view(rng, ViewSettings(scale=(0.3, 0.9), rotation=20, cut=0.3, bend=bend), volume.shape, (8, 8, 8))
    first, end = view.kept
    assert (first >= 0).all() and (end <= volume.shape).all() and (end - first >= 0.4 * np.array(volume.shape)).all()
    ended = np.zeros_like(volume)
    inside = tuple(slice(a, b) for a, b in zip(first, end, strict=True))
    ended[inside] = volume[inside]

    def seen(scan, params):
        low, high, matrix = params.box_inside((8, 8, 8), scan.shape)
        part = scan[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].astype(np.float32)
        plain = replace(params, **PLAIN)
        return make_views([torch.from_numpy(part)], matrix[None], [plain], (8, 8, 8), CPU)[0, 0].numpy()

    np.testing.assert_allclose(seen(volume, view), seen(ended, replace(view, kept=None)), atol=1e-4)
    assert (seen(volume, view) != 0).any()


def test_every_side_is_cut_in_half_of_the_views():
    rng = np.random.default_rng(0)
    cuts = np.stack([draw_cut(rng, 0.4, (100, 100, 100)) for _ in range(400)])
    shares = np.concatenate([cuts[:, 0], 100 - cuts[:, 1]], axis=1) / 100
    assert shares.max() <= 0.4 and shares.min() == 0
    assert ((shares > 0).mean(axis=0) > 0.4).all() and ((shares > 0).mean(axis=0) < 0.6).all()


def test_identity_is_exact():
    volume = np.random.default_rng(0).normal(size=(7, 9, 11))
    out = crop(volume, identity_view(volume.shape).matrix, volume.shape)
    np.testing.assert_array_equal(out, volume.astype(np.float32))


@given(seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_agrees_with_scipy_for_the_same_matrix(seed):
    """The one resampling is the affine it says it is, whatever the axes of torch: scipy is the referee."""
    rng = np.random.default_rng(seed)
    volume = rng.normal(size=(12, 14, 10))
    view = draw_view(rng, ViewSettings(scale=(0.2, 0.9), rotation=30), volume.shape, (8, 8, 8))
    ours = crop(volume, view.matrix, (8, 8, 8))
    theirs = ndimage.affine_transform(
        volume, view.matrix[:, :3], view.matrix[:, 3], output_shape=(8, 8, 8), order=1, mode="grid-constant"
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_monai_for_the_same_parameters(seed):
    """MONAI's Affine counts from the centre of each grid, ours from the first voxel: with that said, the same view."""
    from monai.transforms import Affine

    rng = np.random.default_rng(seed)
    volume, size = rng.normal(size=(12, 14, 10)), (8, 8, 8)
    view = draw_view(rng, ViewSettings(scale=(0.2, 0.9), rotation=30, flip=0.5), volume.shape, size)
    affine = np.eye(4)
    affine[:3, :3] = view.matrix[:, :3]
    affine[:3, 3] = view.matrix @ [*((np.array(size) - 1) / 2), 1] - (np.array(volume.shape) - 1) / 2
    theirs = Affine(affine=affine, spatial_size=size, mode="bilinear", padding_mode="zeros", image_only=True)(
        torch.from_numpy(volume.astype(np.float32))[None]
    )
    np.testing.assert_allclose(crop(volume, view.matrix, size), theirs[0].numpy(), atol=1e-4)


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
    np.testing.assert_allclose(crop(volume, view.matrix, (8, 8, 8)), crop(box, inside, (8, 8, 8)), atol=1e-4)


def test_both_ways_of_making_views_agree_and_leave_torchs_threads_alone():
    """The CPU's rows are the tensor operations in other words, also where a view reaches beyond its box, for boxes of
    several sizes and in the store's float16."""
    threads = torch.get_num_threads()
    rng = np.random.default_rng(0)
    params = [
        draw_view(rng, ViewSettings(scale=(0.9, 1), rotation=40, noise=0), (14, 14, 14), (9, 8, 10)) for _ in range(4)
    ]
    assert {p.blur > 0 for p in params} == {True, False}
    boxes = [torch.randn(12, 15, 10 + i, generator=torch.Generator().manual_seed(i)).half() for i in range(4)]
    boxes[1][:, :7] = 0
    matrices = np.stack([p.matrix for p in params])
    rows = make_views(boxes, matrices, params, (9, 8, 10), CPU)
    tensors = change_intensities(crop_by_grid(pad_together(boxes, CPU), torch.from_numpy(matrices), (9, 8, 10)), params)
    torch.testing.assert_close(rows, tensors, atol=2e-4, rtol=1e-4)
    assert torch.get_num_threads() == threads


@given(st.lists(st.floats(-65504, 65504, width=16), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_widening_is_exact(numbers):
    """Zeros of either sign and subnormal numbers too."""
    row = torch.tensor(numbers, dtype=torch.float16).reshape(1, 1, -1)
    assert torch.equal(make_views([row], np.eye(3, 4)[None], None, tuple(row.shape), CPU)[0, 0], row.float())


def test_noise_is_normal_independent_and_of_the_asked_strength():
    one = torch.ones(2, 1, 40, 40, 40)
    params = [ViewParams(np.eye(3, 4), **{**PLAIN, "noise": 0.5, "seed": seed}) for seed in (1, 2)]
    noise = (by_rows(one, params) - 1).numpy()[:, 0] / 0.5
    assert stats.kstest(noise[0].ravel(), "norm").pvalue > 1e-3 and abs(noise.std() - 1) < 0.01
    for axis in range(3):  # no neighbour knows another, nor one seed the next
        assert abs(np.corrcoef(noise[0].ravel(), np.roll(noise[0], 1, axis).ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.02
    assert torch.equal(by_rows(one, params)[1:], by_rows(one[1:], params[1:]))  # whatever batch it is in


def test_flip_is_left_right_and_nothing_else():
    volume = np.random.default_rng(0).normal(size=(8, 8, 8))
    settings_ = ViewSettings(scale=(1, 1), rotation=0, flip=1)
    flipped = draw_view(np.random.default_rng(0), settings_, volume.shape, (8, 8, 8))
    out = crop(volume, flipped.matrix, (8, 8, 8))
    np.testing.assert_allclose(out, volume[::-1], atol=1e-5)
    for seed in range(20):  # never flipped unless asked
        view = draw_view(np.random.default_rng(seed), ViewSettings(flip=0), volume.shape, (8, 8, 8))
        assert np.linalg.det(view.matrix[:, :3]) > 0


def test_a_view_covers_the_asked_share_of_the_scan():
    for seed in range(20):
        view = draw_view(np.random.default_rng(seed), ViewSettings(scale=(0.3, 0.6)), (40, 50, 30), (16, 16, 16))
        share = abs(np.linalg.det(view.matrix[:, :3])) * 16**3 / (40 * 50 * 30)
        assert 0.3 - 1e-6 <= share <= 0.6 + 1e-6


@both_ways
def test_no_change_is_no_change_and_background_stays_background(change):
    volume = torch.randn(2, 1, 8, 8, 8)
    volume[:, :, :3] = 0
    plain = ViewParams(np.eye(3, 4), **PLAIN)
    torch.testing.assert_close(change(volume, [plain, plain]), volume, atol=1e-5, rtol=0)
    strong = ViewParams(np.eye(3, 4), 0.5, np.full(10, 0.1), 0.5, 1.5, 3)
    out = change(volume, [plain, strong])
    torch.testing.assert_close(out[0], volume[0], atol=1e-5, rtol=0)  # a neighbour's changes do not leak
    assert (out[1, :, :3] == 0).all() and not torch.allclose(out[1], volume[1])


@both_ways
def test_blur_agrees_with_scipy(change):
    volume = np.zeros((15, 15, 15))
    volume[7, 7, 7] = 1.0
    volume += 1e-3  # nowhere background
    view = ViewParams(np.eye(3, 4), **{**PLAIN, "blur": 1.2})
    ours = change(as_batch(volume), [view])[0, 0].numpy()
    theirs = ndimage.gaussian_filter(volume, 1.2, mode="constant", radius=4)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@both_ways
def test_blur_agrees_with_monai(change):
    from monai.networks.layers import gaussian_1d, separable_filtering

    volume = torch.randn(1, 1, 15, 15, 15, generator=torch.Generator().manual_seed(0)).clamp(-3, 3)  # as brains are
    ours = change(volume, [ViewParams(np.eye(3, 4), **{**PLAIN, "blur": 1.2})])
    taps = gaussian_1d(torch.tensor(1.2), truncated=3.5, approx="sampled")
    theirs = separable_filtering(volume, [taps / taps.sum()] * 3)  # MONAI does not normalise sampled taps
    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)


@both_ways
def test_gamma_keeps_order_and_the_middle(change):
    ramp = torch.linspace(-3, 3, 64).reshape(1, 1, 4, 4, 4)
    out = change(ramp, [ViewParams(np.eye(3, 4), **{**PLAIN, "gamma": 0.3})]).flatten()
    assert (out.diff() > 0).all()
    brighter = ViewParams(np.eye(3, 4), **{**PLAIN, "gamma": 0.3})
    middle = change(torch.full((1, 1, 2, 2, 2), 1e-6), [brighter])
    assert middle.abs().max() < 1e-4


@both_ways
def test_replay_gives_the_same_view(change):
    volume = torch.randn(1, 1, 8, 8, 8)
    view = draw_view(np.random.default_rng(3), ViewSettings(), (8, 8, 8), (8, 8, 8))
    assert torch.equal(change(volume, [view]), change(volume, [view]))


@pytest.mark.parametrize("bad", [(0, 1), (0.6, 0.5), (0.5, 1.2)])
def test_scale_bounds(bad):
    with pytest.raises(ValueError, match="scale"):
        ViewSettings(scale=bad)
