"""Schedules as pure functions of the optimiser step, counted from 0 over the whole training, never within an epoch."""

from __future__ import annotations

import math


def cosine(step: int, steps: int, start: float, end: float) -> float:
    """From ``start`` at step 0 to ``end`` at the last step."""
    share = min(step / max(steps - 1, 1), 1.0)
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def warmup_cosine(step: int, steps: int, warmup: int, peak: float, end: float) -> float:
    """Linear rise to ``peak`` over ``warmup`` steps, then a cosine to ``end``."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return cosine(step - warmup, steps - warmup, peak, end)


def twice_risen(step: int, steps: int, rise: int, peak: float, power: float = 0.9) -> float:
    """Two linear rises to ``peak`` over ``rise`` steps each, then a polynomial decay to 0 (nnU-Net's power)."""
    if step < 2 * rise:
        return peak * (step % rise + 1) / rise
    return peak * (1 - (step - 2 * rise) / max(steps - 2 * rise, 1)) ** power


def linear(step: int, steps: int, start: float, end: float) -> float:
    """From ``start`` to ``end`` over ``steps``, then constant."""
    return end if step >= steps else start + (end - start) * step / steps
