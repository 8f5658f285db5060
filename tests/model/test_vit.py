import pytest
import torch
from pydantic import ValidationError

from workbench.model.config import EncoderConfig
from workbench.model.vit import Encoder, Placed, rotary_angles

SMALL = EncoderConfig(preset="micro", image_size=16, patch=8, registers=2)


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return Encoder(SMALL).eval()


def test_any_multiple_of_the_patch_is_accepted_and_anything_else_refused(encoder):
    tokens = encoder(torch.randn(1, 1, 24, 16, 32))
    assert tokens.grid_xyz == (3, 2, 4)
    assert tokens.patches_BPD.shape == (1, 24, SMALL.width)
    assert tokens.registers_BRD.shape == (1, 2, SMALL.width)
    assert tokens.patch_map().shape == (1, SMALL.width, 3, 2, 4)
    with pytest.raises(ValueError, match="multiple of patch"):
        encoder(torch.randn(1, 1, 17, 16, 16))


def test_tokens_keep_their_place():
    """A change inside one patch changes that patch's embedding and no other, before any attention."""
    encoder = Encoder(SMALL)
    volume = torch.zeros(1, 1, 16, 16, 16)
    before, grid = encoder.tokenise(volume)
    volume[0, 0, 8:, :8, 8:] += 1  # patch (1, 0, 1)
    after, _ = encoder.tokenise(volume)
    changed = (before != after).any(-1)[0, encoder.first_patch :].view(grid)
    assert changed.nonzero().tolist() == [[1, 0, 1]]


ROTARY = EncoderConfig(preset="micro", image_size=16, patch=8, registers=2, positions="rotary", drop_path=0)


def test_rotary_positions_are_the_steps_between_tokens():
    """What two tokens are to each other depends on the step between them alone, whatever the size of the grid."""
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 64, generator=generator)

    def products(grid):
        angles = rotary_angles(grid, 64)
        qkv = torch.cat([q, k, torch.zeros(64)]).expand(1, len(angles), 192)
        q_N, k_N, _ = Placed(1)(qkv, angles[None]).chunk(3, dim=-1)
        return (q_N @ k_N.transpose(1, 2)).view(*grid, *grid)

    small, large = products((3, 4, 5)), products((6, 4, 8))
    torch.testing.assert_close(small, large[3:, :, 2:7, 3:, :, 2:7], atol=1e-4, rtol=0)
    assert small.std() > 0.1 and (small[0, 0, 0, 0, 0, 0] - q @ k).abs() < 1e-4
    # and each axis counts: no two steps of a head look alike
    steps = large[0, 0, 0].flatten().double()
    assert (torch.cdist(steps[:, None], steps[:, None]) + torch.eye(len(steps))).min() > 1e-6


def test_rotary_positions_differ_from_none_and_have_no_parameters():
    torch.manual_seed(0)
    encoder = Encoder(ROTARY).eval()
    assert "positions" not in encoder.state_dict()
    same = torch.randn(1, 1, 8, 8, 8).repeat(1, 1, 3, 1, 1)  # three equal cubes in a row: only the place tells them
    with torch.no_grad():
        for block in encoder.blocks:
            block.attn.qkv.weight *= 10
        a, b, c = encoder(same).patches_BPD[0]
    assert (a - b).norm() > 1e-3 and (a - c).norm() > 1e-3


def test_rotary_positions_of_kept_tokens_are_their_own():
    """All tokens kept, in another order: the same tokens in that order."""
    torch.manual_seed(0)
    encoder = Encoder(ROTARY).eval()
    volume, order = torch.randn(2, 1, 16, 16, 24), torch.randperm(12).expand(2, 12)
    with torch.no_grad():
        whole, mixed = encoder(volume), encoder(volume, keep=order)
    torch.testing.assert_close(mixed.patches_BPD, whole.patches_BPD[:, order[0]], atol=1e-4, rtol=0)
    torch.testing.assert_close(mixed.cls_BD, whole.cls_BD, atol=1e-4, rtol=0)


def test_anisotropic_patches():
    config = EncoderConfig(preset="micro", image_size=(16, 16, 8), patch=(8, 4, 2))
    assert Encoder(config)(torch.randn(1, 1, 16, 16, 8)).grid_xyz == (2, 4, 4)


def test_drop_path_only_in_training(encoder):
    volume = torch.randn(2, 1, 16, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(encoder(volume).cls_BD, encoder(volume).cls_BD)
        training = Encoder(EncoderConfig(preset="micro", image_size=16, patch=8, drop_path=0.9)).train()
        assert not torch.equal(training(volume).cls_BD, training(volume).cls_BD)


def test_the_model_is_differentiable_everywhere():
    encoder = Encoder(EncoderConfig(preset="micro", image_size=16, patch=8, layer_scale=0.1, drop_path=0))
    tokens = encoder(torch.randn(2, 1, 16, 16, 16), hidden=[2])
    (tokens.cls_BD.sum() + tokens.registers_BRD.sum() + tokens.patches_BPD.square().sum()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in encoder.parameters())


def test_configuration_says_what_is_wrong():
    with pytest.raises(ValidationError, match="not a multiple of patch"):
        EncoderConfig(image_size=20, patch=16)
    with pytest.raises(ValidationError, match="Extra inputs"):
        EncoderConfig(pach=16)
