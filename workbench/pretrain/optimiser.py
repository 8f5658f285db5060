"""The optimiser's groups, and its schedules as functions of the step over the whole training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from workbench.engine.schedules import cosine, warmup_cosine
from workbench.pretrain.config import PretrainConfig
from workbench.pretrain.objectives.base import StepInfo

# tokens and positions are no matrices that mix features: decay would only pull them to nothing
UNDECAYED = ("cls", "registers", "cls_position", "positions", "mask_token", "decoder_positions")


def adamw(model: nn.Module) -> torch.optim.AdamW:
    """The optimiser; its rate and decay are set at every step. Fused: one pass over weights, gradients and moments."""
    return torch.optim.AdamW(parameter_groups(model), lr=0.0, fused=True)


def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Weight decay on matrices and kernels; none on biases, norms, tokens, positions and frozen parameters."""
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]

    def decays(name: str, parameter: Tensor) -> bool:
        return parameter.ndim > 1 and name.rsplit(".", 1)[-1] not in UNDECAYED

    return [
        {"params": [p for n, p in trained if decays(n, p)], "decays": True},
        {"params": [p for n, p in trained if not decays(n, p)], "decays": False},
    ]


def rates(config: PretrainConfig, now: StepInfo) -> tuple[float, float]:
    """Learning rate and weight decay of a step."""
    warmup = min(round(config.warmup_epochs * now.steps_per_epoch), now.steps // 2)
    peak = config.learning_rate * config.batch_size / 256
    rate = warmup_cosine(now.step, now.steps, warmup, peak, config.final_learning_rate)
    return rate, cosine(now.step, now.steps, *config.weight_decay)
