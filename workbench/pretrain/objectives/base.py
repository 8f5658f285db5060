"""What an objective is to the training loop."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from workbench.engine.bend import Placement
from workbench.model.config import EncoderConfig
from workbench.model.vit import Encoder

VIEWS = 2  # global views of a scan in every objective


@dataclass(frozen=True)
class StepInfo:
    """Where the training is: optimiser step (from 0), steps in all, steps an epoch."""

    step: int
    steps: int
    steps_per_epoch: float
    monitored: bool = True
    """Whether the monitors of this step will be read; they cost time."""


@dataclass(frozen=True)
class Batch:
    """Two views of B scans: clean, corrupted, and the voxels that were replaced; each ``(2, B, 1, X, Y, Z)``. The first
    two have a channel a contrast in place of the 1, where scans have several; ``present (2, B, C)`` then says which of
    them a scan has.

    ``placement`` and ``local_placement`` say where views and crops lie in their scans.
    ``local`` are small crops ``(L, B, 1, x, y, z)`` where they are asked for. ``drops`` and ``local_drops`` are the
    uniform numbers that drop path goes by, ``(2, B, depth, 2)`` and ``(L, B, depth, 2)``: drawn with the data, so that
    they depend on the scan's place in the run and on nothing else.
    """

    clean: Tensor
    corrupted: Tensor
    masks: Tensor
    drops: Tensor | None = None
    placement: Placement | None = None
    local: Tensor | None = None
    local_drops: Tensor | None = None
    local_placement: Placement | None = None
    present: Tensor | None = None


def there(batch: Batch) -> Tensor:
    """Which contrast each view has, ``(2 · B, C)`` bool."""
    if batch.present is not None:
        return batch.present.flatten(0, 1)
    views, scans, channels = batch.clean.shape[:3]
    return torch.ones(views * scans, channels, dtype=torch.bool, device=batch.clean.device)


@dataclass
class Losses:
    """``total`` is differentiated; ``terms`` are its unweighted parts; ``monitors`` are for the log alone.

    ``shared`` is the encoder's output that all terms stand on ``(B, N, D)``: the gradient of each weighted term there
    says how much of the encoder's training is its.
    """

    total: Tensor
    terms: dict[str, Tensor]
    monitors: dict[str, Tensor]
    weights: dict[str, float] = field(default_factory=dict)
    shared: Tensor | None = None

    def gradient_shares(self) -> dict[str, Tensor]:
        """Norm of each weighted term's gradient at ``shared``, as a share of the sum of these norms."""
        if self.shared is None:
            return {}
        norms = {}
        for name, term in self.terms.items():
            (gradient,) = torch.autograd.grad(
                term * self.weights.get(name, 1.0), self.shared, retain_graph=True, allow_unused=True
            )
            norms[name] = self.total.new_zeros(()) if gradient is None else gradient.float().norm()
        together = torch.stack(list(norms.values())).sum().clamp_min(1e-20)
        return {name: norm / together for name, norm in norms.items()}


class Objective(nn.Module):
    """Base of the objectives: the loop knows nothing else of them."""

    def forward(self, batch: Batch, now: StepInfo) -> Losses:
        """Losses of one micro-batch."""
        raise NotImplementedError

    def before_step(self, now: StepInfo) -> None:
        """Called once per optimiser step, between the last backward pass and the optimiser (freezing)."""

    def after_step(self, now: StepInfo) -> dict[str, float]:
        """Called once per optimiser step, after it (EMA, centres). Returns values for the log."""
        return {}

    def collapsed(self, monitors: dict[str, float], now: StepInfo) -> str | None:
        """A sentence with evidence and remedy if the monitors (averaged over the last steps) say so."""
        spread, rank = monitors.get("cls_std", math.inf), monitors.get("cls_rank", math.inf)
        if spread < 0.01:
            return (
                f"cls: standard deviation over the batch {spread:.4f}, effective rank {rank:.2f}: every scan gets "
                f"the same embedding. Try a lower learning rate, stronger views or a larger batch"
            )
        return None

    @property
    def exported(self) -> Encoder:
        """The encoder that later jobs get."""
        raise NotImplementedError

    def flops(self, config: EncoderConfig, *, masked: float, local: tuple[int, int]) -> float:
        """Floating-point operations of one training step of one scan: forward, and backward as twice the forward.

        Unless an objective states a formula, a step is run once under torch's counter.

        Args:
            config: The encoder's settings.
            masked: Share of a view's tokens that are masked.
            local: Number of local crops, and patch tokens of each.
        """
        from workbench.pretrain.objectives.counted import counted_flops

        return counted_flops(self, config, masked=masked, local=local)
