import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.engine.bend import Placement, draw_bend
from workbench.engine.view_params import ViewParams
from workbench.engine.views import crop_bent, make_views, pad_together
from workbench.pretrain.config import ViewSettings
from workbench.pretrain.draw_views import draw_view

SHAPE, SIZE = (34, 40, 30), (16, 12, 20)
VIEWS = ViewSettings(scale=(0.2, 0.9), rotation=30, flip=0.5, gamma=0, bias=0, noise=0, blur=0, bend=0.03)


def drawn(seed: int, **changes) -> ViewParams:
    return draw_view(np.random.default_rng(seed), VIEWS.model_copy(update=changes), SHAPE, SIZE)


def placed(views: list[ViewParams]) -> Placement:
    return Placement(
        torch.tensor(np.stack([v.matrix for v in views])),
        torch.tensor([SHAPE] * len(views), dtype=torch.float64),
        torch.tensor(np.stack([v.bend.knots for v in views]), dtype=torch.float64) if views[0].bend else None,
    )


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_a_place_goes_to_the_scan_and_back(seed):
    """Even at the strongest bend the field shrinks distances, so undoing it by iteration arrives."""
    where = placed([drawn(seed), drawn(seed + 1)])
    voxels = torch.rand(2, 50, 3, dtype=torch.float64) * torch.tensor(SIZE)
    torch.testing.assert_close(where.from_scan(where.to_scan(voxels)), voxels, atol=0.02, rtol=0)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_what_a_bent_view_shows_is_what_lies_at_the_place_it_names(seed):
    """A scan whose intensity is its x, y or z coordinate: each voxel of the view tells where it was taken."""
    view = drawn(seed)
    for axis in range(3):
        ramp = np.broadcast_to(np.arange(SHAPE[axis]).reshape([-1 if a == axis else 1 for a in range(3)]), SHAPE)
        box = torch.tensor(ramp + 1.0, dtype=torch.float32)  # never 0, which is outside
        shown = make_views([box], view.matrix[None], [view], SIZE, torch.device("cpu"))[0, 0]
        voxels = torch.tensor(np.argwhere(np.ones(SIZE)), dtype=torch.float64)
        named = placed([view]).to_scan(voxels[None])[0]
        inside = ((named >= 0) & (named <= torch.tensor(SHAPE) - 1.0)).all(-1)
        torch.testing.assert_close(shown.flatten()[inside].double(), named[inside, axis] + 1, atol=2e-3, rtol=0)


@pytest.mark.parametrize("seed", range(4))
def test_both_ways_of_resampling_show_the_same(seed):
    """The loop over rows of a CPU, and the batched tensor operations of a GPU (here on the CPU)."""
    volume = torch.tensor(np.random.default_rng(seed).normal(size=SHAPE), dtype=torch.float32)
    views = [drawn(seed), drawn(seed + 1, bend=0.0)]
    matrices = np.stack([v.matrix for v in views])
    rows = make_views([volume] * 2, matrices, views, SIZE, torch.device("cpu"))
    batched = crop_bent(pad_together([volume] * 2, torch.device("cpu")), torch.from_numpy(matrices), views, SIZE)
    torch.testing.assert_close(rows, batched, atol=1e-3, rtol=0)


@pytest.mark.parametrize("seed", range(6))
def test_the_box_holds_all_that_a_bent_view_needs(seed):
    volume = np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)
    view = drawn(seed)
    low, high, matrix = view.box_inside(SIZE, SHAPE)
    box = volume[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    cpu = torch.device("cpu")
    whole = make_views([torch.from_numpy(volume)], view.matrix[None], [view], SIZE, cpu)
    part = make_views([torch.from_numpy(np.ascontiguousarray(box))], matrix[None], [view], SIZE, cpu)
    torch.testing.assert_close(whole, part, atol=1e-3, rtol=0)


def test_no_strength_is_no_bend_and_draws_nothing():
    straight, bent = drawn(3, bend=0.0), drawn(3)
    assert straight.bend is None and bent.bend is not None
    np.testing.assert_array_equal(straight.matrix, bent.matrix)
    assert straight.seed == bent.seed
    assert np.abs(draw_bend(np.random.default_rng(0), 0.02, SHAPE).reach).max() <= 0.04 * max(SHAPE) + 1e-6


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_a_view_s_place_in_the_box_is_its_matrix_in_shares(seed):
    where = placed([drawn(seed, bend=0.0)])
    shares = where.in_box(SIZE)[0]
    corners = torch.tensor(np.argwhere(np.ones((2, 2, 2))), dtype=torch.float64)
    scan = where.to_scan((corners * (torch.tensor(SIZE) - 1))[None])[0]
    in_box = scan / (torch.tensor(SHAPE) - 1) * 2 - 1
    torch.testing.assert_close((corners * 2 - 1) @ shares[:, :3].T + shares[:, 3], in_box)
