import pytest
import torch

from workbench.errors import ConfigError
from workbench.model.classifier import Classifier
from workbench.model.config import EncoderConfig
from workbench.model.unetr import Unetr
from workbench.model.vit import Encoder


@pytest.mark.parametrize(("patch", "size"), [(4, 8), (8, 16), (16, 32)])
@pytest.mark.parametrize("input_skip", [True, False])
def test_logits_have_the_shape_of_the_volume(patch, size, input_skip):
    encoder = Encoder(EncoderConfig(preset="micro", image_size=size, patch=patch))
    model = Unetr(encoder, 3, features=4, input_skip=input_skip)
    assert model(torch.randn(1, 1, size, 2 * size, size)).shape == (1, 3, size, 2 * size, size)


def test_taps_are_those_of_the_paper():
    encoder = Encoder(EncoderConfig(preset="tiny", image_size=32, patch=16))
    assert Unetr(encoder, 2, features=4).taps == [3, 6, 9]


def test_every_weight_is_used():
    encoder = Encoder(EncoderConfig(preset="micro", image_size=16, patch=8, registers=0, drop_path=0))
    model = Unetr(encoder, 2, features=4)
    model(torch.randn(1, 1, 16, 16, 16)).square().sum().backward()
    unused = [n for n, p in model.named_parameters() if p.grad is None]
    assert unused == []


def test_without_input_skip_a_blind_encoder_sees_nothing():
    """With the encoder's patch embedding at zero, the output cannot depend on the voxels."""
    encoder = Encoder(EncoderConfig(preset="micro", image_size=16, patch=8)).eval()
    torch.nn.init.zeros_(encoder.embed.weight)
    volumes = torch.randn(2, 1, 16, 16, 16)
    blind, sighted = (Unetr(encoder, 2, features=4, input_skip=s).eval() for s in (False, True))
    with torch.no_grad():
        out = blind(volumes)
        torch.testing.assert_close(out[0], out[1])
        out = sighted(volumes)
        assert not torch.allclose(out[0], out[1])


def test_patches_that_cannot_be_decoded_are_refused():
    with pytest.raises(ConfigError, match="same patch on each axis"):
        Unetr(Encoder(EncoderConfig(preset="micro", image_size=(16, 16, 8), patch=(8, 8, 4))), 2)


def test_classifier_sees_cls_and_patches():
    encoder = Encoder(EncoderConfig(preset="micro", image_size=16, patch=8))
    assert Classifier(encoder, 2)(torch.randn(3, 1, 16, 16, 16)).shape == (3, 2)
