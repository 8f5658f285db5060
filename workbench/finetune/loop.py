"""The one loop of fine-tuning: AdamW, warm-up and cosine, clipping, checkpoints, resume, a stop between two steps."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

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
from workbench.engine.schedules import warmup_cosine
from workbench.engine.streams import step_seed
from workbench.errors import WorkbenchError
from workbench.finetune.config import FinetuneConfig
from workbench.runs import Run, stop_on_request

CLIP = 3.0


def fit(model: nn.Module, encoder: nn.Module, backward: Callable[[int], float], steps: int, config: FinetuneConfig,
        run: Run) -> None:
    """Train ``model`` for ``steps`` optimiser steps, from the last checkpoint if there is one.

    Args:
        model: Holds ``encoder``.
        encoder: Frozen, and without drop path, if the configuration says so.
        backward: Computes the gradients of step ``n`` (from 0) from the seed and ``n`` alone; returns its loss.
        steps: Optimiser steps in all.
        config: Learning rate, weight decay, seed, checkpoint interval.
        run: Where the losses and checkpoints go.

    Raises:
        KeyboardInterrupt: after the state has been saved.
        WorkbenchError: the loss is not finite.
    """
    encoder.requires_grad_(not config.freeze)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=0.0, weight_decay=config.weight_decay)
    folder, step = run.path / "checkpoints", 0
    if (checkpoint := latest_checkpoint(folder)) is not None:
        facts, state = load_checkpoint(checkpoint)
        model.load_state_dict(state.objective)
        restore_optimiser(optimiser, state.optimiser)
        step = facts["step"]
    saved = time.monotonic()
    bar = tqdm(total=steps, initial=step, desc=f"fine-tune ({config.init})", unit="step", file=sys.stderr)
    with bar, stop_on_request() as stop:
        while step < steps:
            torch.manual_seed(step_seed(config.seed, step))  # drop path draws alike after a resume
            model.train()
            if config.freeze:
                encoder.eval()
            loss = backward(step)
            if not math.isfinite(loss):
                kept = latest_checkpoint(folder)
                raise WorkbenchError(f"step {step + 1}: the loss is not finite",
                                     cause=f"the last good checkpoint is {kept.name if kept else 'none'}",
                                     remedy="lower --learning_rate")
            rate = warmup_cosine(step, steps, max(steps // 10, 1), config.learning_rate, 0.0)
            for group in optimiser.param_groups:
                group["lr"] = rate
            nn.utils.clip_grad_norm_(parameters, CLIP)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            step += 1
            run.log(step=step, loss=round(loss, 6), learning_rate=rate)
            bar.update()
            bar.set_postfix(loss=f"{loss:.3f}")
            due = time.monotonic() - saved >= 60 * config.checkpoint_minutes
            if stop.asked or due or step == steps:
                save_checkpoint(folder, step, snapshot(model, optimiser), {"steps": steps})
                saved = time.monotonic()
            if stop.asked and step < steps:
                tqdm.write(f"stopped after step {step} of {steps}; the same command continues", file=sys.stderr)
                raise KeyboardInterrupt
    model.eval()

