"""Tokens read on several patch grids."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool3d, pad

from workbench.model.config import EncoderConfig
from workbench.model.vit import Encoder
from workbench.predict.token_grid import patch_tokens

PATCH = (4, 4, 2)


class Local:
    """Tokens that know their own patch alone: its mean, the mean of squares, and a constant."""

    config = SimpleNamespace(patch_xyz=PATCH, depth=1)

    def parameters(self):
        yield torch.zeros(1)

    def __call__(self, volume, hidden=()):
        told = torch.cat([volume, volume**2, torch.ones_like(volume)], dim=1)
        tokens = avg_pool3d(told, PATCH)
        grid = tuple(tokens.shape[2:])
        return SimpleNamespace(patches_BPD=tokens.flatten(2).transpose(1, 2), grid_xyz=grid, hidden={})


def brute(volume, grids):
    """The definition: the mean over the grids less than a patch away, 1 less the distance axis by axis."""
    shape, total = volume.shape[2:], 0.0
    around = pad(volume, [p for p in reversed(PATCH) for _ in range(2)])
    for shift in itertools.product(*(range(-p + p // grids, p, p // grids) for p in PATCH)):
        at = tuple(slice(p + s, p + s + n) for p, s, n in zip(PATCH, shift, shape, strict=True))
        unit, _ = patch_tokens(Local(), around[:, :, at[0], at[1], at[2]], 0)
        total = total + unit * np.prod([1 - abs(s) / p for s, p in zip(shift, PATCH, strict=True)])
    return total / np.linalg.norm(total, axis=1, keepdims=True)


@pytest.mark.parametrize("grids", [1, 2])
def test_a_token_is_the_mean_over_the_grids_about_its_place(grids):
    volume = torch.from_numpy(np.random.default_rng(0).random((1, 1, 12, 8, 6), np.float32))
    tokens, grid = patch_tokens(Local(), volume, 0, grids)
    assert grid == (3, 2, 3)
    np.testing.assert_allclose(tokens, brute(volume, grids), atol=1e-6)


def test_where_the_grid_cuts_a_structure_matters_less():
    def largest_step(grids):
        """By how much a token changes at the most when a small bright thing moves through its patch by a voxel."""
        told = []
        for place in range(2, 9):
            volume = torch.zeros(1, 1, 12, 12, 6)
            volume[..., place : place + 2, 4:6, 2:4] = 3.0
            tokens, shape = patch_tokens(Local(), volume, 0, grids)
            told.append(tokens.reshape(*shape, -1)[1, 1, 1])
        return np.abs(np.diff(told, axis=0)).max()

    assert largest_step(2) < 0.75 * largest_step(1)


@pytest.mark.parametrize("block", [0, -1])
def test_of_an_encoder_every_block_can_be_read_so_and_nothing_is_lost(block):
    encoder = Encoder(EncoderConfig(preset="micro", image_size=16, patch=4, registers=1)).eval()
    volume = torch.rand(1, 1, 16, 20, 12)
    one, grid = patch_tokens(encoder, volume, block)
    four, same = patch_tokens(encoder, volume, block, 4)
    assert grid == same == (4, 5, 3) and one.shape == four.shape
    np.testing.assert_allclose(np.linalg.norm(four, axis=1), 1, atol=1e-5)
    assert np.isfinite(four).all() and (one * four).sum(1).mean() > 0.5
