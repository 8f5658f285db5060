"""Attention read out beside a fused forward pass: only the wanted rows are computed, and no N×N matrix is ever whole.

A query is a mixture of tokens, a row of weights over all tokens that sums to 1: one token (CLS, a register, the token
of a voxel), or many (the mean of a region). What is read out is the same mixture of the rows of the attention matrix.

Shape suffixes as in ``vit``, and Q queries, S tokens that some query has a share of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.model.contract import AnyEncoder, require
from workbench.model.vit import Block
from workbench.volumes.volume import Triple

CHUNK_BYTES = 2 * 2**20  # of attention rows held at a time, all heads together; a cache holds it
BlockChoice = int | Literal["rollout"]


@dataclass
class Look:
    """Attention rows and what the pass gave besides."""

    rows_BHQN: Tensor  # float32; H is 1 for a rollout, which has the mean over heads in it
    stream_BND: Tensor  # all tokens after the last block, not normed: their norms tell outliers
    grid_xyz: Triple


@torch.no_grad()
def look(encoder: AnyEncoder, volume_B1XYZ: Tensor, weights_QN: Tensor, *, block: BlockChoice = -1) -> Look:
    """One fused forward pass, and the wanted attention rows of one block or of the rollout.

    Queries and keys are those of the pass itself, so that only their products are computed besides. A rollout is
    followed from the last block back: it keeps them of every block until the pass has ended (3 B N D numbers a block),
    and reads every row of all blocks but the last, which no fused kernel gives.

    Args:
        volume_B1XYZ: Prepared volumes, edges multiples of the patch; learned positions are interpolated to other sizes.
        weights_QN: A query a row; see ``one_token``.
        block: From 0, or from the end when negative; ``"rollout"`` follows the attention through all blocks
            (Abnar & Zuidema, arXiv 2005.00928, section 3: heads averaged, half of each step is the residual path).

    Raises:
        IndexError: there is no such block.
        ConfigError: the encoder has no attention that can be shown.
    """
    require(encoder.config, "attention", "attention")
    blocks = [cast(Block, b) for b in encoder.blocks]
    heads = encoder.config.heads
    tapped = blocks if block == "rollout" else [blocks[range(len(blocks))[block]]]
    x_BND, grid = encoder.tokenise(volume_B1XYZ)
    angles = encoder.angles(grid, x_BND.device)
    weights_QN = encoder.inside(weights_QN.to(x_BND.device, torch.float32))
    found: list[Tensor] = []

    def tap(_module: nn.Module, _inputs: Any, qkv_BNE: Tensor) -> None:
        found.append(qkv_BNE if block == "rollout" else rows_of(qkv_BNE, heads, weights_QN))

    hooks = [layer.attn.placed.register_forward_hook(tap) for layer in tapped]
    try:
        for layer in blocks:
            x_BND = layer(x_BND, angles=angles)
    finally:
        for hook in hooks:
            hook.remove()
    rows = rollout(found, heads, weights_QN).unsqueeze(1) if block == "rollout" else found[0]
    return Look(*encoder.outside(rows, x_BND), grid)


def attention_rows(encoder: AnyEncoder, volume_B1XYZ: Tensor, queries: list[int], *, block: int = -1) -> Tensor:
    """Rows of the wanted tokens (0 is CLS, registers follow, then patches) over all tokens, ``(B, H, Q, N)``."""
    tokens = token_count(encoder, volume_B1XYZ)
    return look(encoder, volume_B1XYZ, torch.stack([one_token(q, tokens) for q in queries]), block=block).rows_BHQN


def rollout_row(encoder: AnyEncoder, volume_B1XYZ: Tensor, query: int = 0) -> Tensor:
    """Rollout of one token over all tokens, ``(B, N)``; sums to 1."""
    weights = one_token(query, token_count(encoder, volume_B1XYZ))[None]
    return look(encoder, volume_B1XYZ, weights, block="rollout").rows_BHQN[:, 0, 0]


def one_token(token: int, tokens: int) -> Tensor:
    """The query that is one token, ``(N,)``."""
    return F.one_hot(torch.tensor(token), tokens).float()


def token_count(encoder: AnyEncoder, volume_B1XYZ: Tensor) -> int:
    """N of a volume: CLS, registers and patches."""
    x, y, z = (n // p for n, p in zip(volume_B1XYZ.shape[2:], encoder.config.patch_xyz, strict=True))
    return encoder.first_patch + x * y * z


def rows_of(qkv_BNE: Tensor, heads: int, weights_QN: Tensor) -> Tensor:
    """The queries' mixtures of the rows of one block, ``(B, H, Q, N)``, from its queries, keys and values side by side,
    ``(B, N, 3 D)``."""
    b, n, _ = qkv_BNE.shape
    out = torch.zeros(b, heads, len(weights_QN), n, device=qkv_BNE.device)
    wanted = weights_QN.any(dim=0).nonzero()[:, 0]
    for tokens, a_BHSN in _row_chunks(qkv_BNE, heads, wanted, _room(qkv_BNE, heads, len(wanted))):
        out += weights_QN[:, tokens] @ a_BHSN
    return out


def rollout(kept: list[Tensor], heads: int, weights_QN: Tensor) -> Tensor:
    """From the last block to the first, r ← ½ (r A + r), ``(B, Q, N)``: a row times a matrix, never a matrix product.

    Args:
        kept: Of each block its ``qkv_BNE``; emptied on the way, so that what has been read is let go.
    """
    r_BQN = weights_QN.expand(len(kept[0]), -1, -1)
    room = _room(kept[0], heads, r_BQN.shape[2])
    wanted: Tensor | None = weights_QN.any(dim=0).nonzero()[:, 0]
    while kept:
        next_BQN = r_BQN
        for tokens, a_BHSN in _row_chunks(kept.pop(), heads, wanted, room):
            # rows first and heads in the same sum: the matrix is read once
            next_BQN = torch.baddbmm(
                next_BQN, r_BQN[:, :, tokens].repeat(1, 1, heads), a_BHSN.flatten(1, 2), alpha=1 / heads
            )
        r_BQN = next_BQN.mul_(0.5)
        wanted = None  # attention is nowhere 0: from here on everything has a share
    return r_BQN


def _room(qkv_BNE: Tensor, heads: int, rows: int) -> Tensor:
    """Memory ``(2, S · B H N)`` for scores and rows of as many tokens as are held at a time: taken once, since asking
    the system for it again and again costs as much as the work."""
    b, n, _ = qkv_BNE.shape
    at_once = min(rows, max(1, CHUNK_BYTES // (4 * b * heads * n)))
    return torch.empty(2, at_once * b * heads * n, device=qkv_BNE.device)


def _row_chunks(
    qkv_BNE: Tensor, heads: int, wanted: Tensor | None, room: Tensor
) -> Iterator[tuple[Tensor | slice, Tensor]]:
    """``(tokens (S,), their rows (B, H, S, N) in float32)`` of the wanted tokens (all unless given), as many at a time
    as there is room for; a chunk's rows lie where those of the one before did."""
    b, n, _ = qkv_BNE.shape
    q_BHNC, k_BHNC, _ = qkv_BNE.view(b, n, 3, heads, -1).permute(2, 0, 3, 1, 4)
    k_GCN = k_BHNC.transpose(2, 3).float().flatten(0, 1)  # G: volumes and heads
    at_once = room.shape[1] // (b * heads * n)
    if (n if wanted is None else len(wanted)) > at_once:
        k_GCN = k_GCN.contiguous()  # read once a chunk, and strided reading is slow; for a few rows it would not pay
    # picking rows one by one costs more than slices do
    every = (slice(start, start + at_once) for start in range(0, n, at_once))
    for tokens in every if wanted is None else wanted.split(at_once):
        q_GSC = q_BHNC[:, :, tokens].float().flatten(0, 1)
        g, some, c = q_GSC.shape
        scores_GSN, rows_GSN = room[:, : g * some * n].view(2, g, some, n)
        torch.baddbmm(scores_GSN, q_GSC, k_GCN, beta=0, alpha=c**-0.5, out=scores_GSN)
        yield tokens, torch.softmax(scores_GSN, dim=-1, out=rows_GSN).view(b, heads, some, n)
