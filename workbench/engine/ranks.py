"""Several processes training one model: sums and gathers that do nothing where there is only one."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def count() -> int:
    """Processes of the training."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


@torch.no_grad()
def total(value: Tensor) -> Tensor:
    """Sum over the processes, not differentiated."""
    if count() == 1:
        return value
    value = value.clone()
    dist.all_reduce(value)
    return value


def mean(value: Tensor) -> Tensor:
    """Mean over the processes, not differentiated."""
    return total(value) / count()


def share(part: Tensor, whole: Tensor) -> Tensor:
    """``part / whole`` such that the mean of the processes' results is the ratio of their sums.

    A mean over masked voxels is such a ratio: with other counts in each process, the mean of the means is not the mean.
    """
    return part / mean(whole.float()).clamp_min(1e-12)


def gather(rows: Tensor) -> Tensor:
    """Rows ``(B, …)`` of all processes in the order of their rank, ``(ranks · B, …)``, differentiated: the gradient of
    a row is the sum of what every process made of it."""
    if count() == 1:
        return rows
    out: Tensor = _Gather.apply(rows)
    return out


class _Gather(torch.autograd.Function):
    """torch's own differentiable `all_gather` gave wrong gradients over gloo for rows that are not contiguous."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(count())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return total(gradients[0].contiguous()).chunk(count())[dist.get_rank()]
