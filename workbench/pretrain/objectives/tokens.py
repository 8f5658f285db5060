"""Alignment of patch tokens without prototypes: a token is told from the other places of the same scan (InfoNCE, van
den Oord et al., arXiv 1807.03748, eq. 4).

Negatives are other brain tokens of the same scan and never other people's at the same place: that these are alike is
what is wanted. Shape suffixes as in ``workbench.model.vit``; V·B views, P patch tokens, d width of the comparison.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.engine import ranks
from workbench.engine.bend import Placement
from workbench.model.vit import by_patch
from workbench.volumes.volume import Triple

EDGE = 0.25  # tokens by which a place may lie beyond the middle of a view's outermost tokens
FAR = -1e4  # a logit of what is not compared


def brain_tokens(clean_B1XYZ: Tensor, patch: Triple, share: float) -> Tensor:
    """Tokens of which more than ``share`` of the voxels are brain, ``(B, P)`` bool."""
    return (by_patch(clean_B1XYZ, patch) != 0).flatten(4).float().mean(-1).flatten(1) > share


def token_numbers(grid: Triple, like: Tensor) -> Tensor:
    """Index ``(P, 3)`` of every token of a grid along each axis."""
    axes = [torch.arange(n, dtype=like.dtype, device=like.device) for n in grid]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, 2)


def places_elsewhere(placement: Placement, grid: Triple, patch: Triple) -> Tensor:
    """Where the middle of each token of one view lies in the other, ``(2, B, P, 3)``, counted in tokens: 0 is the
    middle of the first, grid - 1 of the last. Both views have the same size."""
    views = placement.matrices.shape[:2]
    own, other = placement.flat(), placement.other_view().flat()
    edge = torch.tensor(patch, dtype=own.matrices.dtype, device=own.matrices.device)
    middle_P3 = (token_numbers(grid, own.matrices) + 0.5) * edge - 0.5  # voxels
    there = other.from_scan(own.to_scan(middle_P3.expand(len(own.matrices), -1, -1)))
    return ((there + 0.5) / edge - 0.5).unflatten(0, views)


def sample_map(tokens_BPd: Tensor, at_BP3: Tensor, grid: Triple) -> Tensor:
    """Tokens at places between them, trilinear, ``(B, P, d)``; the outermost go on beyond the edge."""
    count = torch.tensor(grid, dtype=at_BP3.dtype, device=at_BP3.device)
    where = ((at_BP3 + 0.5) * 2 / count - 1).flip(-1)[:, :, None, None]
    volume = tokens_BPd.transpose(1, 2).unflatten(2, grid)
    out = F.grid_sample(volume, where.to(volume.dtype), padding_mode="border", align_corners=False)
    return out[..., 0, 0].transpose(1, 2)


def inside(at_BP3: Tensor, grid: Triple) -> Tensor:
    """Places that lie in the view, ``(B, P)`` bool."""
    count = torch.tensor(grid, dtype=at_BP3.dtype, device=at_BP3.device)
    return ((at_BP3 > -EDGE) & (at_BP3 < count - 1 + EDGE)).all(dim=-1)


@dataclass(frozen=True)
class Match:
    """What a term of matching gives: its loss, the share of tokens that found their own first, the share that took
    part, and the share that chance would find."""

    loss: Tensor
    top1: Tensor
    part: Tensor
    chance: Tensor


def match(positive_BP: Tensor, negatives_BPQ: Tensor, counted_BP: Tensor, temperature: float) -> Match:
    """Mean cross-entropy of finding the positive among the negatives, over the counted tokens of all processes.

    Args:
        positive_BP: Cosine with the positive.
        negatives_BPQ: Cosines with what it is told from; `FAR` and below does not count.
        counted_BP: Tokens that take part.
        temperature: Of the softmax.
    """
    logits = torch.cat([positive_BP.unsqueeze(-1), negatives_BPQ], dim=-1)[counted_BP].float() / temperature
    each = logits.logsumexp(dim=-1) - logits[:, 0]
    number = counted_BP.sum()
    with torch.no_grad():
        found = (logits[:, :1] >= logits).all(dim=-1)
        rivals = (logits > FAR / 2).sum(dim=-1).clamp_min(1)
        monitors = (ranks.share(v.float().sum(), number) for v in (found, 1 / rivals))
        top1, chance = monitors
        part = ranks.mean(counted_BP.float().mean())
    return Match(ranks.share(each.sum(), number), top1, part, chance)


def match_same_view(
    student_BPd: Tensor,
    teacher_BPd: Tensor,
    counted_BP: Tensor,
    brain_BP: Tensor,
    temperature: float,
) -> Match:
    """The student's token of the corrupted view against the teacher's tokens of the same view, clean."""
    cosines = student_BPd @ teacher_BPd.transpose(1, 2)
    own = torch.eye(cosines.shape[1], dtype=torch.bool, device=cosines.device)
    positive = cosines.diagonal(dim1=1, dim2=2)
    return match(positive, cosines.masked_fill(own | ~brain_BP[:, None], FAR), counted_BP, temperature)


def match_other_view(
    student_BPd: Tensor,
    other_BPd: Tensor,
    at_BP3: Tensor,
    grid: Triple,
    counted_BP: Tensor,
    other_brain_BP: Tensor,
    apart: float,
    temperature: float,
) -> Match:
    """The student's token against the teacher's tokens of the other view: the positive is sampled at the same place
    there, negatives lie at least ``apart`` tokens from it."""
    positive = F.normalize(sample_map(other_BPd, at_BP3, grid), dim=-1)
    numbers_BP3 = token_numbers(grid, at_BP3).expand(len(at_BP3), -1, -1)
    distance_BPQ = torch.cdist(at_BP3, numbers_BP3, compute_mode="donot_use_mm_for_euclid_dist")
    cosines = student_BPd @ other_BPd.transpose(1, 2)
    negatives = cosines.masked_fill((distance_BPQ < apart) | ~other_brain_BP[:, None], FAR)
    return match((student_BPd * positive).sum(-1), negatives, counted_BP & inside(at_BP3, grid), temperature)
