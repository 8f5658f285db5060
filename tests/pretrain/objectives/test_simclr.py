import math

import pytest
import torch

from workbench.model.config import EncoderConfig
from workbench.pretrain.objectives.base import Batch, StepInfo
from workbench.pretrain.objectives.simclr import Simclr, SimclrSettings, nt_xent

ENCODER = EncoderConfig(preset="micro", image_size=16, patch=8, drop_path=0)


def unit(*shape: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(*shape), dim=-1)


def test_nt_xent_is_the_papers():
    """Written out pair by pair, from eq. 1 of arXiv 2002.05709."""
    z, t, each = unit(2, 4, 8), 0.5, []
    rows = [z[v, b] for v in range(2) for b in range(4)]
    for i, row in enumerate(rows):
        others = [math.exp(float(row @ other) / t) for k, other in enumerate(rows) if k != i]
        each.append(-math.log(math.exp(float(row @ rows[(i + 4) % 8]) / t) / sum(others)))
    assert float(nt_xent(z, t)) == pytest.approx(sum(each) / 8, rel=1e-5)


def test_views_that_agree_cost_less_than_views_that_do_not():
    z = unit(1, 6, 32)
    assert nt_xent(torch.cat([z, z]), 0.1) < nt_xent(torch.cat([z, z.roll(1, 1)]), 0.1)


def test_every_parameter_that_cls_needs_learns_and_the_loss_falls():
    torch.manual_seed(0)
    simclr = Simclr(ENCODER, SimclrSettings(projection_hidden=32, projection=16))
    scans = torch.randn(1, 4, 1, 16, 16, 16)
    views = torch.cat([scans, scans + 0.1 * torch.randn(1, 4, 1, 16, 16, 16)])
    b = Batch(views, views, torch.zeros_like(views, dtype=torch.bool))
    optimiser = torch.optim.AdamW(simclr.parameters(), lr=1e-3)
    losses = []
    for _ in range(30):
        loss = simclr(b, StepInfo(0, 10, 2.0)).total
        optimiser.zero_grad()
        loss.backward()
        assert [n for n, p in simclr.named_parameters() if p.grad is None] == []
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
