import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.pretrain.config import MaskSettings
from workbench.pretrain.masking import corrupt, draw_mask, to_tokens, to_voxels


@given(seed=st.integers(0, 10_000), ratio=st.floats(0, 0.9), grid=st.tuples(*[st.integers(2, 7)] * 3))
@settings(max_examples=60, deadline=None)
def test_coverage_is_what_was_asked_and_whole_tokens_are_masked(seed, ratio, grid):
    patch, size = (4, 4, 4), tuple(4 * g for g in grid)
    mask = draw_mask(np.random.default_rng(seed), MaskSettings(), ratio, size, patch)
    assert mask.shape == grid and mask.sum() == round(ratio * mask.size)
    voxels = to_voxels(torch.from_numpy(mask)[None], size)
    tokens = to_tokens(voxels, patch)[0].view(grid)
    assert np.array_equal(tokens.numpy(), mask)  # aligned to patches: a token is masked wholly or not at all


def test_unaligned_masks_leave_few_tokens_whole():
    """The reason for the default: at the same coverage, unaligned blocks mask almost no token completely."""
    rng = np.random.default_rng(0)
    size, patch = (96, 96, 96), (16, 16, 16)
    mask = draw_mask(rng, MaskSettings(align=1), 0.5, size, patch)
    tokens = to_tokens(to_voxels(torch.from_numpy(mask)[None], size), patch)
    assert mask.mean() == pytest.approx(0.5, abs=1e-3) and tokens.float().mean() < 0.1


@pytest.mark.parametrize("fill", ["noise", "zeros", "other"])
def test_only_masked_voxels_change(fill):
    views = torch.randn(4, 1, 8, 8, 8)
    masks = torch.rand(4, 1, 8, 8, 8) < 0.5
    out = corrupt(views, masks, fill, [1, 2, 3, 4])
    assert torch.equal(out[~masks], views[~masks])
    assert not torch.equal(out[masks], views[masks])
    if fill == "other":
        assert torch.equal(out[masks], views.roll(1, 0)[masks])
    if fill == "zeros":
        assert (out[masks] == 0).all()
    assert torch.equal(out, corrupt(views, masks, fill, [1, 2, 3, 4]))


def test_the_noise_of_a_view_does_not_depend_on_its_batch():
    views, masks = torch.zeros(3, 1, 8, 8, 8), torch.ones(3, 1, 8, 8, 8, dtype=torch.bool)
    together = corrupt(views, masks, "noise", [5, 6, 7])
    assert torch.equal(together[1:2], corrupt(views[1:2], masks[1:2], "noise", [6]))
    assert abs(float(together.mean())) < 0.1 and abs(float(together.std()) - 1) < 0.1


def test_cells_must_divide_the_crop():
    with pytest.raises(ValueError, match="do not divide"):
        draw_mask(np.random.default_rng(0), MaskSettings(align=5), 0.5, (16, 16, 16), (8, 8, 8))
