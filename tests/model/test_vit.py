import pytest
import torch
from pydantic import ValidationError

from workbench.model.config import EncoderConfig
from workbench.model.vit import Encoder

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
