"""Alignment of CLS without prototypes. Each class holds what it remembers of the steps before, and says how well one
view's CLS goes with the other's.

Shape suffixes as in ``workbench.model.vit``; B scans, d width of the comparison, Q rows of the queue.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.engine import ranks

MOMENTUM = 0.9  # of the running mean and variance of pooled tokens, as of DINO's centre


class Pooled(nn.Module):
    """What CLS is to predict: the mean of the teacher's brain tokens, its running mean and deviation taken away, since
    what all scans share says nothing of any. Tokens that are told apart do not collapse, so neither does their mean."""

    mean: Tensor
    variance: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))
        self._sums: list[Tensor] = []  # of the values and their squares since the last step, and their number

    @torch.no_grad()
    def targets(self, tokens_BPD: Tensor, brain_BP: Tensor) -> Tensor:
        """``(B, D)`` float32 of length 1; remembers them for `after_step`."""
        weight = brain_BP.float().unsqueeze(-1)
        pooled = (tokens_BPD.float() * weight).sum(1) / weight.sum(1).clamp_min(1)
        self._sums.append(torch.cat([pooled.sum(0), pooled.square().sum(0), pooled.new_tensor([len(pooled)])]))
        return F.normalize((pooled - self.mean) / (self.variance + 1e-6).sqrt(), dim=-1)

    @torch.no_grad()
    def after_step(self) -> None:
        if not self._sums:
            return
        width = len(self.mean)
        first, second, count = ranks.total(torch.stack(self._sums).sum(0)).split([width, width, 1])
        mean = first / count
        self.mean.lerp_(mean, 1 - MOMENTUM)
        self.variance.lerp_((second / count - mean.square()).clamp_min(0), 1 - MOMENTUM)
        self._sums.clear()


class Queue(nn.Module):
    """The teacher's CLS of the steps before, the newest first; empty rows are 0."""

    rows: Tensor

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(length, width))
        self._new: list[Tensor] = []

    def remember(self, rows_Bd: Tensor) -> None:
        self._new.append(ranks.gather(rows_Bd.detach()))

    @property
    def filled(self) -> Tensor:
        """The rows that hold something."""
        return self.rows[self.rows.abs().sum(-1) > 0]

    @torch.no_grad()
    def after_step(self) -> None:
        if self._new:
            self.rows.copy_(torch.cat([*self._new, self.rows])[: len(self.rows)])
        self._new.clear()


def told_apart(student_Bd: Tensor, teacher_Bd: Tensor, queue_Qd: Tensor, temperature: float) -> Tensor:
    """InfoNCE: the teacher's CLS of the same scan among those of all processes' scans and of the queue, mean over B."""
    keys = torch.cat([ranks.gather(teacher_Bd), queue_Qd])
    return F.cross_entropy(student_Bd @ keys.T / temperature, own_rows(student_Bd))


def variance_covariance(student_Bd: Tensor, queue_Qd: Tensor) -> Tensor:
    """VICReg's two penalties (arXiv 2105.04906, eq. 1 and 4) of unit vectors, over all processes' rows and the queue:
    each number is to have the deviation of an even spread over the sphere, and none is to repeat another."""
    width = student_Bd.shape[1]
    rows = torch.cat([ranks.gather(student_Bd), queue_Qd]) * width**0.5
    centred = rows - rows.mean(0)
    covariance = centred.T @ centred / max(1, len(rows) - 1)
    deviation = (covariance.diagonal() + 1e-4).sqrt()
    off = covariance - torch.diag(covariance.diagonal())
    return F.relu(1 - deviation).mean() + off.square().sum() / width / COVARIANCE


COVARIANCE = 25.0  # VICReg weighs variance 25 and covariance 1


@torch.no_grad()
def nearest_own(said_Bd: Tensor, wanted_Bd: Tensor) -> Tensor:
    """Share of scans whose own target is nearest among those of all processes; chance is 1 / their number."""
    return ((said_Bd @ ranks.gather(wanted_Bd).T).argmax(-1) == own_rows(said_Bd)).float().mean()


def own_rows(rows_Bd: Tensor) -> Tensor:
    """Where this process's rows stand among the gathered rows of all, ``(B,)``."""
    first = dist.get_rank() * len(rows_Bd) if ranks.count() > 1 else 0
    return torch.arange(first, first + len(rows_Bd), device=rows_Bd.device)
