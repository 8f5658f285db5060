"""What a pretraining would be, from a few steps of it that are thrown away."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, nn

from workbench.cohort.splits import load_sides
from workbench.engine.device import arithmetic, peak_flops, pick_device
from workbench.model.vit import Encoder
from workbench.prepare.store import open_store
from workbench.pretrain.config import PretrainConfig
from workbench.pretrain.data import MicroBatches, on_device
from workbench.pretrain.objectives.base import Batch, Objective, StepInfo
from workbench.pretrain.optimiser import adamw
from workbench.pretrain.start import require_start
from workbench.pretrain.train import fitted, step_flops, training_scans

MEASURED = 3  # steps, after one that warms up
HEADROOM = 0.9  # of the memory that is there


@dataclass(frozen=True)
class Cost:
    """Bytes that do not depend on the batch, bytes a scan, and seconds a step."""

    fixed: float
    a_scan: float
    seconds: float


def plan_pretrain(config: PretrainConfig) -> str:
    """People, scans, steps, tokens, parameters, operations, time and memory in a few lines."""
    store = open_store(config.store)
    config = fitted(config, store)
    require_start(config, store)
    scans, participants = training_scans(store, None if config.split is None else load_sides(config.split))
    steps = max(1, math.ceil(config.epochs * len(scans) / config.batch_size))
    head = [
        f"{len(scans)} scans of {len(participants)} people at {store.spacing:g} mm"
        f"{' (simulated)' if store.simulated else ''}",
        config.objective.describe() + (f", begun from {config.start_from}" if config.start_from else ""),
    ]
    if len(scans) < config.batch_size:
        return "\n".join(["", *head, f"refused: fewer scans than one batch of {config.batch_size}"])
    device = torch.device(pick_device(config.accelerator))
    torch.manual_seed(config.seed)
    objective = config.objective.build(config.encoder).to(device)
    part = config.batch_size // (config.accumulate * config.devices * config.nodes)
    batches = MicroBatches(store, scans, config, size=part)
    if batches.sessions is not None:
        head.append(batches.sessions.told)
    cost = measure(config, objective, batches, device, steps)
    flops, (peak, source) = step_flops(config, objective), peak_flops(device, config.precision)
    there = _memory(device)
    largest = max(0, int((HEADROOM * there - cost.fixed) / cost.a_scan))
    trained = sum(p.numel() for p in objective.parameters() if p.requires_grad)
    exported = sum(p.numel() for p in objective.exported.parameters())
    whole = cost.seconds * config.accumulate * steps
    used = flops / config.accumulate / config.devices / config.nodes / cost.seconds / peak
    return "\n".join(
        [
            "",
            *head,
            f"{exported:,} parameters in the encoder, {trained:,} trained; "
            f"{math.prod(config.encoder.grid_xyz)} patch tokens a view",
            f"{steps} steps of {config.batch_size} scans, {flops / 1e9:,.1f} GFLOP each",
            f"about {cost.seconds * config.accumulate:.2f} s a step ({MEASURED} measured on this {device.type}, data "
            f"included, one process), {timedelta(seconds=round(whole))} in all; "
            f"{used:.0%} of {peak / 1e12:.3g} "
            f"TFLOP/s ({source})",
            f"about {(cost.fixed + part * cost.a_scan) / 1e9:.2f} GB at {part} scans a backward pass "
            f"({cost.fixed / 1e9:.2f} GB + {cost.a_scan / 1e6:.0f} MB a scan); {there / 1e9:.0f} GB are free, so "
            f"the largest batch without accumulation is about {largest} a device",
        ]
    )


def measure(
    config: PretrainConfig, objective: Objective, batches: MicroBatches, device: torch.device, steps: int
) -> Cost:
    """Run a few steps with the real data and look at what they take."""
    for module in objective.modules():
        if isinstance(module, Encoder):
            module.recompute = config.activation_checkpointing
    optimiser = adamw(objective)
    kept, taken = 0.0, []
    for n in range(1 + MEASURED):
        start = time.perf_counter()
        batch = on_device(batches[n], config, device)

        def forward(batch: Batch = batch, n: int = n) -> Tensor:
            with arithmetic(device, config.precision):
                return objective(batch, StepInfo(n, steps, 1.0, n == 0)).total

        if n == 0:
            loss, kept = kept_bytes(forward, objective)
        else:
            loss = forward()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - start)
    weights = sum(p.numel() * p.element_size() for p in objective.parameters())
    trained = sum(p.numel() * p.element_size() for p in objective.parameters() if p.requires_grad)
    return Cost(weights + 3 * trained, kept / batches.size, min(taken[1:]))  # gradients and AdamW's two moments


def kept_bytes(forward: Callable[[], Tensor], model: nn.Module) -> tuple[Tensor, float]:
    """Memory that a forward pass keeps for the backward pass, parameters left out: most of what a batch costs."""
    kept: dict[int, int] = {}
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = forward()
    return out, float(sum(kept.values()))


def _memory(device: torch.device) -> float:
    """Bytes that are free."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
