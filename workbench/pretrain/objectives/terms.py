"""Pieces that losses and monitors are made of."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from workbench.engine import ranks


def row_pieces(rows_MK: Tensor) -> list[slice]:
    """Rows to work on together. On a CPU as many as stay in its cache: with thousands of prototypes, going through the
    whole array once for every operation costs three times as much."""
    if rows_MK.device.type != "cpu":
        return [slice(None)]
    step = max(1, CACHED // max(1, rows_MK.shape[-1]))
    return [slice(first, first + step) for first in range(0, len(rows_MK), step)]


CACHED = 2**20  # numbers


def teacher_probabilities(logits_MK: Tensor, centre_K: Tensor, temperature: float) -> Tensor:
    """Softmax of (logits - centre) / temperature, in the memory of ``logits``; not differentiated."""
    for piece in row_pieces(logits_MK):
        logits_MK[piece] = F.softmax((logits_MK[piece] - centre_K).div_(temperature), dim=-1)
    return logits_MK


def cross_entropy(target: Tensor, logits: Tensor, temperature: float) -> Tensor:
    """-Σ target · log softmax(logits / temperature) of each row; both ``(…, K)``; not differentiated by the target.

    Written as logsumexp minus a dot product: the logarithms of K probabilities of every token are never in memory.
    """
    with torch.autocast(logits.device.type, enabled=False):  # a dot product over K would be done in bfloat16
        rows: Tensor = _CrossEntropy.apply(target.float().flatten(0, -2), logits.float().flatten(0, -2), temperature)
    return rows.view(logits.shape[:-1])


class _CrossEntropy(torch.autograd.Function):
    """With thousands of prototypes this is many passes over the largest arrays of a step. The gradient is known:
    (softmax − target) / temperature; it needs one new array, worked on piece by piece."""

    @staticmethod
    def forward(ctx: Any, target_MK: Tensor, logits_MK: Tensor, temperature: float) -> Tensor:
        normaliser_M, loss_M = logits_MK.new_empty(len(logits_MK)), logits_MK.new_empty(len(logits_MK))
        for piece in row_pieces(logits_MK):
            scaled = logits_MK[piece] / temperature
            normaliser_M[piece] = scaled.logsumexp(dim=-1)
            loss_M[piece] = normaliser_M[piece] - torch.linalg.vecdot(target_MK[piece], scaled)
        ctx.save_for_backward(target_MK, logits_MK, normaliser_M)
        ctx.temperature = temperature
        return loss_M

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, None]:
        target_MK, logits_MK, normaliser_M = ctx.saved_tensors
        weight_M1 = gradients[0].unsqueeze(-1) / ctx.temperature
        out_MK = torch.empty_like(logits_MK)
        for piece in row_pieces(logits_MK):
            inner = torch.div(logits_MK[piece], ctx.temperature).sub_(normaliser_M[piece].unsqueeze(-1)).exp_()
            torch.mul(inner.sub_(target_MK[piece]), weight_M1[piece], out=out_MK[piece])
        return None, out_MK, None


@torch.no_grad()
def agreement(kind: str, crossed: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Entropy of the teacher as a share of ln K, and KL(teacher ‖ student) in nats, from the rows' cross-entropy;
    means over the rows of all processes."""
    each = torch.special.entr(target).sum(dim=-1)
    entropy, cross = (ranks.share(v.sum(), v.new_tensor(v.numel())) for v in (each, crossed))
    return {f"{kind}_entropy": entropy / math.log(target.shape[-1]), f"{kind}_kl": cross - entropy}


@torch.no_grad()
def sinkhorn(scores: Tensor, rounds: int = 3) -> Tensor:
    """Rows sum to 1 and every prototype is used alike over the batch of all processes (SwAV, DINOv2).
    ``(M, K)`` → ``(M, K)``."""
    highest = scores.max()
    if ranks.count() > 1:
        dist.all_reduce(highest, dist.ReduceOp.MAX)
    q = torch.exp(scores - highest)
    for _ in range(rounds):
        q = q / ranks.total(q.sum(dim=0, keepdim=True)).clamp_min(1e-12)  # prototypes
        q = q / q.sum(dim=1, keepdim=True).clamp_min(1e-12)  # samples
    return q


def koleo(rows_BD: Tensor) -> Tensor:
    """-mean log distance to the nearest other row, on the unit sphere (Sablayrolles, arXiv 1806.03198)."""
    unit = F.normalize(rows_BD.float(), dim=-1, eps=1e-8)
    with torch.no_grad():
        alike = unit @ unit.T
        alike.fill_diagonal_(-2)
        nearest = alike.argmax(dim=1)
    return -torch.log((unit - unit[nearest]).norm(dim=-1) + 1e-8).mean()


@torch.no_grad()
def spread(cls_BD: Tensor) -> dict[str, Tensor]:
    """Standard deviation over the batch (mean over channels) and effective rank (exp of the spectrum's entropy)."""
    centred = cls_BD.float() - cls_BD.float().mean(dim=0)
    if not torch.isfinite(centred).all():  # the loss will say so, with the scans; an SVD would only fail
        nan = centred.new_tensor(math.nan)
        return {"cls_std": nan, "cls_rank": nan}
    spectrum = torch.linalg.svdvals(centred)
    share = spectrum / spectrum.sum().clamp_min(1e-12)
    rank = torch.exp(-(share * share.clamp_min(1e-12).log()).sum())
    return {"cls_std": centred.std(dim=0).mean(), "cls_rank": rank}
