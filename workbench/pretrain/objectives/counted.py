"""Floating-point operations of an objective that states no formula: one step, under torch's own counter."""

from __future__ import annotations

import copy
import math

import torch
from torch.utils.flop_counter import FlopCounterMode

from workbench.engine.bend import Placement
from workbench.model.config import EncoderConfig
from workbench.pretrain.objectives.base import VIEWS, Batch, Objective, StepInfo

SCANS = 2  # a contrast between scans needs more than one


def counted_flops(objective: Objective, config: EncoderConfig, *, masked: float, local: tuple[int, int]) -> float:
    """Forward and backward of one scan, as ``Objective.flops``; the objective itself is left as it is.

    Local crops are taken for cubes; where their number of tokens is none, they are left out.
    """
    twin = copy.deepcopy(objective).train()
    device = next(twin.parameters()).device
    batch = example_batch(config, masked=masked, local=local, device=device)
    with torch.enable_grad(), FlopCounterMode(display=False) as counter:
        twin(batch, StepInfo(0, 1, 1.0, monitored=False)).total.backward()
    return counter.get_total_flops() / SCANS


def example_batch(
    config: EncoderConfig, *, masked: float, local: tuple[int, int], device: torch.device | str = "cpu"
) -> Batch:
    """Views of nothing in the shapes of a real batch: the first patches of each are masked."""
    size, grid = config.size_xyz, config.grid_xyz
    cells = torch.zeros(math.prod(grid), device=device)
    cells[: round(masked * len(cells))] = 1
    masks = torch.nn.functional.interpolate(cells.view(1, 1, *grid), size=size) > 0
    clean = torch.rand(VIEWS, SCANS, config.channels, *size, device=device)
    matrices = torch.eye(3, 4, device=device).expand(VIEWS, SCANS, 3, 4)
    shapes = torch.tensor(size, dtype=torch.float32, device=device).expand(VIEWS, SCANS, 3)
    crops, tokens = local
    edge = round(tokens ** (1 / 3))
    if not crops or edge**3 != tokens:
        crops = 0
    small = [edge * p for p in config.patch_xyz]
    return Batch(
        clean,
        clean * ~masks,
        masks.expand(VIEWS, SCANS, 1, *size),
        torch.full((VIEWS, SCANS, config.depth, 2), 0.5, device=device),
        Placement(matrices, shapes),
        local=torch.rand(crops, SCANS, config.channels, *small, device=device) if crops else None,
        local_drops=torch.full((crops, SCANS, config.depth, 2), 0.5, device=device) if crops else None,
        local_placement=Placement(
            torch.eye(3, 4, device=device).expand(crops, SCANS, 3, 4), shapes[:1].expand(crops, SCANS, 3)
        )
        if crops
        else None,
    )
