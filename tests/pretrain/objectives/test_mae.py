import pytest
import torch

from workbench.errors import ConfigError
from workbench.model.config import EncoderConfig
from workbench.model.vit import cubes
from workbench.pretrain.objectives.base import Batch, StepInfo
from workbench.pretrain.objectives.mae import Mae, MaeSettings

ENCODER = EncoderConfig(preset="micro", image_size=16, patch=8, drop_path=0)
NOW = StepInfo(5, 10, 2.0)


def make(**settings) -> Mae:
    torch.manual_seed(0)
    return Mae(ENCODER, MaeSettings(decoder_width=64, decoder_depth=1, **settings))


def batch(clean: torch.Tensor | None = None, masked: int = 6) -> Batch:
    """The first ``masked`` of 8 tokens are masked."""
    generator = torch.Generator().manual_seed(0)
    clean = torch.randn(2, 3, 1, 16, 16, 16, generator=generator) if clean is None else clean
    cells = torch.zeros(8, dtype=torch.bool)
    cells[:masked] = True
    masks = cells.view(2, 2, 2).repeat_interleave(8, 0).repeat_interleave(8, 1).repeat_interleave(8, 2)
    return Batch(clean, clean, masks.expand(2, 3, 1, 16, 16, 16))


def test_the_encoder_sees_visible_tokens_only():
    """What is under the mask can be anything: the encoder's output does not change, only the target does."""
    mae, b = make(), batch()
    other = torch.where(b.masks, torch.randn_like(b.clean), b.clean)
    seen, seen_other = mae(b, NOW).shared, mae(batch(other), NOW).shared
    torch.testing.assert_close(seen, seen_other)
    assert seen.shape[1] == 1 + ENCODER.registers + 2  # 2 of 8 patches
    changed = torch.where(b.masks, b.clean, torch.randn_like(b.clean))
    assert not torch.allclose(seen, mae(batch(changed), NOW).shared)


@pytest.mark.parametrize("normalise", [True, False])
def test_only_masked_patches_count(normalise):
    mae, b = make(normalise=normalise), batch()
    target = cubes(b.clean.flatten(0, 1), (8, 8, 8))[0]
    if normalise:
        target = (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True) + 1e-2).sqrt()
    torch.nn.init.zeros_(mae.rebuild.weight)
    torch.nn.init.zeros_(mae.rebuild.bias)  # what is rebuilt is 0
    assert float(mae(b, NOW).total.detach()) == pytest.approx(float(target[:, :6].square().mean()), rel=1e-4)


def test_visible_tokens_come_back_to_their_places():
    """Each visible token meets the decoder at its own position: swapping two positions changes the loss."""
    mae, b = make(), batch()
    before = float(mae(b, NOW).total.detach())
    with torch.no_grad():
        mae.decoder_positions[:, [6, 7]] = mae.decoder_positions[:, [7, 6]]
    assert float(mae(b, NOW).total.detach()) != before


def test_masks_of_other_counts_are_refused():
    b = batch()
    masks = b.masks.clone()
    masks[0, 0] = False
    with pytest.raises(ConfigError, match="same number of masked tokens"):
        make()(Batch(b.clean, b.corrupted, masks), NOW)


def test_every_parameter_learns_and_the_loss_falls():
    mae = make()
    ramp = torch.linspace(-1, 1, 16)
    clean = (ramp.view(-1, 1, 1) * torch.randn(2, 3, 1, 1, 1, 1) + ramp.view(1, -1, 1)).expand(2, 3, 1, 16, 16, 16)
    b = batch(clean.contiguous())
    optimiser = torch.optim.AdamW(mae.parameters(), lr=2e-3)
    losses = []
    for _ in range(40):
        loss = mae(b, NOW).total
        optimiser.zero_grad()
        loss.backward()
        assert [n for n, p in mae.named_parameters() if p.grad is None] == []
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
