"""What a pretraining would be, without doing it."""

from __future__ import annotations

import math

from workbench.cohort.splits import load_sides
from workbench.prepare.store import open_store
from workbench.pretrain.config import PretrainConfig
from workbench.pretrain.objectives import build_objective
from workbench.pretrain.train import describe, training_scans


def plan_pretrain(config: PretrainConfig) -> str:
    """People, scans, steps, tokens and parameters in a few lines."""
    store = open_store(config.store)
    scans, participants = training_scans(store, None if config.split is None else load_sides(config.split))
    objective = build_objective(config.encoder, config.objective)
    steps = max(1, math.ceil(config.epochs * len(scans) / config.batch_size))
    count = sum(p.numel() for p in objective.parameters() if p.requires_grad)
    encoder = sum(p.numel() for p in objective.exported.parameters())
    return (f"\n{len(scans)} scans of {len(participants)} people at {store.spacing:g} mm"
            f"{' (simulated)' if store.simulated else ''}\n"
            f"{describe(config)}\n"
            f"{encoder:,} parameters in the encoder, {count:,} trained; {math.prod(config.encoder.grid_xyz)} patch "
            f"tokens a view, 2 views\n{steps} steps of {config.batch_size} scans")
