"""What an objective is to the training loop."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from workbench.model.vit import Encoder


@dataclass(frozen=True)
class Moment:
    """Where the training is: optimiser step (from 0), steps in all, steps an epoch."""

    step: int
    steps: int
    steps_per_epoch: float


@dataclass(frozen=True)
class Batch:
    """Two views of B scans: clean, corrupted, and the voxels that were replaced; each ``(2, B, 1, X, Y, Z)``."""

    clean: Tensor
    corrupted: Tensor
    masks: Tensor


@dataclass
class Losses:
    """``total`` is differentiated; ``terms`` are the unweighted parts; ``monitors`` are for the log alone."""

    total: Tensor
    terms: dict[str, Tensor]
    monitors: dict[str, Tensor]


class Objective(nn.Module):
    """Base of the objectives: the loop knows nothing else of them."""

    def forward(self, batch: Batch, now: Moment) -> Losses:
        """Losses of one micro-batch."""
        raise NotImplementedError

    def before_step(self, now: Moment) -> None:
        """Called once per optimiser step, between the last backward pass and the optimiser (freezing)."""

    def after_step(self, now: Moment) -> dict[str, float]:
        """Called once per optimiser step, after it (EMA, centres). Returns values for the log."""
        return {}

    def collapsed(self, monitors: dict[str, float], now: Moment) -> str | None:
        """A sentence with evidence and remedy if the monitors (averaged over the last steps) say so."""
        return None

    @property
    def exported(self) -> Encoder:
        """The encoder that later jobs get."""
        raise NotImplementedError
