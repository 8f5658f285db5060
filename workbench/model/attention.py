"""Attention read out beside a fused forward pass: only the wanted rows are computed, and no N×N matrix is ever whole.

A query is a mixture of tokens, a row of weights over all tokens that sums to 1: one token (CLS, a register, the token
of a voxel), or many (the mean of a region). What is read out is the same mixture of the rows of the attention matrix.

Shape suffixes as in ``vit``, and Q queries, S tokens that some query has a share of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.model.vit import Block, Encoder
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
def look(encoder: Encoder, volume_B1XYZ: Tensor, weights_QN: Tensor, *, block: BlockChoice = -1) -> Look:
    """One fused forward pass, and the wanted attention rows of one block or of the rollout.

    Args:
        volume_B1XYZ: Prepared volumes, edges multiples of the patch; positions are interpolated to other sizes.
        weights_QN: A query a row; see ``one_token``.
        block: From 0, or from the end when negative; ``"rollout"`` follows the attention through all blocks
            (Abnar & Zuidema, arXiv 2005.00928, section 3: heads averaged, half of each step is the residual path).

    Raises:
        IndexError: there is no such block.
    """
    blocks = [cast(Block, b) for b in encoder.blocks]
    chosen = None if block == "rollout" else range(len(blocks))[block]
    x_BND, grid = encoder.tokenise(volume_B1XYZ)
    weights_QN = weights_QN.to(x_BND.device, torch.float32)
    rows, inputs = None, []
    for number, layer in enumerate(blocks):
        if chosen is None:
            inputs.append(x_BND)
        elif number == chosen:
            rows = rows_of(layer, x_BND, weights_QN)
        x_BND = layer(x_BND)
    if rows is None:
        rows = rollout(blocks, inputs, weights_QN).unsqueeze(1)
    return Look(rows, x_BND, grid)


def attention_rows(encoder: Encoder, volume_B1XYZ: Tensor, queries: list[int], *, block: int = -1) -> Tensor:
    """Rows of the wanted tokens (0 is CLS, registers follow, then patches) over all tokens, ``(B, H, Q, N)``."""
    tokens = token_count(encoder, volume_B1XYZ)
    return look(encoder, volume_B1XYZ, torch.stack([one_token(q, tokens) for q in queries]), block=block).rows_BHQN


def rollout_row(encoder: Encoder, volume_B1XYZ: Tensor, query: int = 0) -> Tensor:
    """Rollout of one token over all tokens, ``(B, N)``; sums to 1."""
    weights = one_token(query, token_count(encoder, volume_B1XYZ))[None]
    return look(encoder, volume_B1XYZ, weights, block="rollout").rows_BHQN[:, 0, 0]


def one_token(token: int, tokens: int) -> Tensor:
    """The query that is one token, ``(N,)``."""
    return F.one_hot(torch.tensor(token), tokens).float()


def token_count(encoder: Encoder, volume_B1XYZ: Tensor) -> int:
    """N of a volume: CLS, registers and patches."""
    x, y, z = (n // p for n, p in zip(volume_B1XYZ.shape[2:], encoder.config.patch_xyz, strict=True))
    return encoder.first_patch + x * y * z


def rows_of(block: Block, x_BND: Tensor, weights_QN: Tensor) -> Tensor:
    """The queries' mixtures of the rows of one block, ``(B, H, Q, N)``, from the block's input."""
    b, n, _ = x_BND.shape
    out = torch.zeros(b, block.attn.heads, len(weights_QN), n, device=x_BND.device)
    for tokens, a_BHSN in _row_chunks(block, x_BND, weights_QN.any(dim=0)):
        out += weights_QN[:, tokens] @ a_BHSN
    return out


def rollout(blocks: list[Block], inputs: list[Tensor], weights_QN: Tensor) -> Tensor:
    """From the last block to the first, r ← ½ (r A + r), ``(B, Q, N)``: a row times a matrix, never a matrix product.

    Args:
        inputs: What went into each block, ``(B, N, D)``.
    """
    r_BQN = weights_QN.expand(len(inputs[0]), -1, -1)
    for block, x_BND in zip(reversed(blocks), reversed(inputs), strict=True):
        moved = torch.zeros_like(r_BQN)
        for tokens, a_BHSN in _row_chunks(block, x_BND, r_BQN.any(dim=0).any(dim=0)):
            moved += (r_BQN[:, None, :, tokens] @ a_BHSN).mean(dim=1)  # a row first, then heads: A is read once
        r_BQN = (moved + r_BQN) / 2
    return r_BQN


def _row_chunks(block: Block, x_BND: Tensor, wanted_N: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """``(indices (S,), rows (B, H, S, N) in float32)`` of the wanted tokens, a bounded number of rows at a time."""
    attn, normed = block.attn, block.norm1(x_BND)
    d, heads = x_BND.shape[2], attn.heads
    weight, bias = attn.qkv.weight, attn.qkv.bias
    # queries of the wanted tokens alone, keys of all, and no values: a third of the block's own projection
    k_BHNC = F.linear(normed, weight[d:2 * d], None if bias is None else bias[d:2 * d]).unflatten(2, (heads, -1))
    k_BHCN = k_BHNC.permute(0, 2, 3, 1).float()
    at_once = max(1, CHUNK_BYTES // (4 * len(x_BND) * heads * x_BND.shape[1]))
    wanted = wanted_N.nonzero()[:, 0]
    if len(wanted) > at_once:  # read once a chunk, and strided reading is slow; for a few rows a copy would not pay
        k_BHCN = k_BHCN.contiguous()
    for tokens in wanted.split(at_once):
        q_BSD = F.linear(normed[:, tokens], weight[:d], None if bias is None else bias[:d])
        q_BHSC = q_BSD.unflatten(2, (heads, -1)).transpose(1, 2).float() * (d // heads) ** -0.5
        yield tokens, (q_BHSC @ k_BHCN).softmax(dim=-1)
