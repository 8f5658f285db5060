"""Floating-point operations by formula, a multiply and an add counted as two. Elementwise work is left out."""

from __future__ import annotations

import itertools
import math

from workbench.model.config import EncoderConfig


def blocks_flops(width: int, depth: int, tokens: int) -> float:
    """Forward of ``depth`` transformer blocks on one sequence: 24·N·d² for the projections and the MLP, 4·N²·d for
    the two products of attention."""
    return depth * (24.0 * tokens * width**2 + 4.0 * tokens**2 * width)


def encoder_flops(config: EncoderConfig, patches: int | None = None, *, seen: int | None = None) -> float:
    """Forward of the encoder on one view.

    Args:
        config: The encoder's settings.
        patches: Patch tokens of the view; those of the training crop unless given.
        seen: Patch tokens that go through the blocks (MAE sees only some).
    """
    patches = math.prod(config.grid_xyz) if patches is None else patches
    tokens = 1 + config.registers + (patches if seen is None else seen)
    embed = 2.0 * patches * config.channels * math.prod(config.patch_xyz) * config.width
    return embed + blocks_flops(config.width, config.depth, tokens)


def mlp_flops(rows: int, *widths: int) -> float:
    """Forward of a chain of linear layers on ``rows`` rows."""
    return sum(2.0 * rows * a * b for a, b in itertools.pairwise(widths))
