"""The one loop of fine-tuning: AdamW, a schedule, clipping, checkpoints, resume, a stop between two steps."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm

from workbench.engine.checkpoint import (
    latest_checkpoint,
    load_checkpoint,
    restore_optimiser,
    save_checkpoint,
    snapshot,
)
from workbench.engine.schedules import twice_risen, warmup_cosine
from workbench.engine.streams import step_seed
from workbench.errors import WorkbenchError
from workbench.finetune.shared_config import FinetuneConfig
from workbench.model.contract import AnyEncoder, require
from workbench.runs import Run, stop_on_request

CLIP = 3.0


def fit(
    model: nn.Module,
    encoder: AnyEncoder | None,
    backward: Callable[[int], float],
    steps: int,
    config: FinetuneConfig,
    run: Run,
    *,
    after: Callable[[int, float], None] | None = None,
) -> None:
    """Train ``model`` for ``steps`` optimiser steps, from the last checkpoint if there is one.

    Args:
        model: Holds ``encoder``.
        encoder: Frozen, and without drop path, if and while the configuration says so; None where there is none.
        backward: Computes the gradients of step ``n`` (from 0) from the seed and ``n`` alone; returns its loss.
        steps: Optimiser steps in all.
        config: Learning rate, weight decay, seed, freezing, layer decay, checkpoint interval.
        run: Where the losses and checkpoints go.
        after: Called after each step with the steps done and the seconds of training so far, over all resumes; its own
            time does not count. The model may be switched to evaluation.

    Raises:
        KeyboardInterrupt: after the state has been saved.
        WorkbenchError: the loss is not finite.
    """
    if encoder is not None:
        encoder.requires_grad_(not config.frozen)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameter_groups(model, encoder, config), lr=0.0)
    folder, step, seconds = run.path / "checkpoints", 0, 0.0
    if (checkpoint := latest_checkpoint(folder)) is not None:
        facts, state = load_checkpoint(checkpoint)
        model.load_state_dict(state.objective)
        restore_optimiser(optimiser, state.optimiser)
        step, seconds = facts["step"], facts.get("seconds", 0.0)
    run.note(parameters=sum(p.numel() for p in model.parameters()), trained=sum(p.numel() for p in parameters))
    saved = time.monotonic()
    bar = tqdm(total=steps, initial=step, desc=f"fine-tune ({config.init})", unit="step", file=sys.stderr)
    with bar, stop_on_request() as stop:
        while step < steps:
            began = time.monotonic()
            torch.manual_seed(step_seed(config.seed, step))  # drop path draws alike after a resume
            model.train()
            if encoder is not None and (config.frozen or step < frozen_steps(config, steps)):
                encoder.requires_grad_(False).eval()
            elif encoder is not None:
                encoder.requires_grad_(True)
            loss = backward(step)
            if not math.isfinite(loss):
                kept = latest_checkpoint(folder)
                raise WorkbenchError(
                    f"step {step + 1}: the loss is not finite",
                    cause=f"the last good checkpoint is {kept.name if kept else 'none'}",
                    remedy="lower --learning_rate",
                )
            rate = _set_rates(optimiser, step, steps, config)
            nn.utils.clip_grad_norm_(parameters, CLIP)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            step += 1
            seconds += time.monotonic() - began
            run.log(step=step, loss=round(loss, 6), learning_rate=rate)
            bar.update()
            bar.set_postfix(loss=f"{loss:.3f}")
            if after is not None:
                after(step, seconds)
            due = time.monotonic() - saved >= 60 * config.checkpoint_minutes
            if stop.asked or due or step == steps:
                save_checkpoint(folder, step, snapshot(model, optimiser), {"steps": steps, "seconds": seconds})
                saved = time.monotonic()
            if stop.asked and step < steps:
                tqdm.write(f"stopped after step {step} of {steps}; the same command continues", file=sys.stderr)
                raise KeyboardInterrupt
    run.note(training_seconds=round(seconds, 1))
    model.eval()


def parameter_groups(model: nn.Module, encoder: AnyEncoder | None, config: FinetuneConfig) -> list[dict[str, Any]]:
    """Trained parameters by learning-rate share and weight decay.

    Layer-wise decay as in BEiT (arXiv 2106.08254): the encoder's last norm and what sits on it have 1, block l of L has
    ``layer_decay ** (L + 1 − l)``, and patch embedding, positions, CLS and registers count as block 0.
    """
    shares: dict[int, float] = {}
    if encoder is not None and config.layer_decay != 1:
        require(encoder.config, "blocks", "layer_decay")
    if encoder is not None:
        top = encoder.config.depth + 1
        for name, parameter in encoder.named_parameters():
            block = int(name.split(".")[1]) + 1 if name.startswith("blocks.") else top if name.startswith("norm") else 0
            shares[id(parameter)] = config.layer_decay ** (top - block)
    groups: dict[tuple[bool, float, float], dict[str, Any]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            inside = id(parameter) in shares
            share, decay = shares.get(id(parameter), 1.0), config.weight_decay if parameter.ndim > 1 else 0.0
            group = groups.setdefault(
                (inside, share, decay), {"params": [], "weight_decay": decay, "share": share, "encoder": inside}
            )
            group["params"].append(parameter)
    return list(groups.values())


def rise_steps(config: FinetuneConfig, steps: int) -> int:
    """Steps of each rise of the schedule ``warm_up``."""
    return max(round(config.warm_up * steps), 1)


def frozen_steps(config: FinetuneConfig, steps: int) -> int:
    """Steps at the start in which the encoder stays as it is."""
    return rise_steps(config, steps) if config.schedule == "warm_up" else config.freeze_steps


def _set_rates(optimiser: torch.optim.Optimizer, step: int, steps: int, config: FinetuneConfig) -> float:
    """The rate of this step, returned and set in every group. An encoder that has just been unfrozen rises to it as
    everything did at the start: AdamW knows nothing of its gradients yet, and its first steps are the largest."""
    if config.schedule == "warm_up":
        rate = twice_risen(step, steps, rise_steps(config, steps), config.learning_rate)
        for group in optimiser.param_groups:
            group["lr"] = rate * group["share"]
        return rate
    warmup = max(steps // 10, 1)
    rate = warmup_cosine(step, steps, warmup, config.learning_rate, 0.0)
    thawed = min(1.0, (step - config.freeze_steps + 1) / warmup) if config.freeze_steps else 1.0
    for group in optimiser.param_groups:
        group["lr"] = rate * group["share"] * (max(thawed, 0.0) if group["encoder"] else 1.0)
    return rate
