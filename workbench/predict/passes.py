"""From attention rows to a map of a whole scan: one pass, overlapping windows, shifted patch grids, merged."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from workbench.errors import ScanError
from workbench.model.attention import BlockChoice, look
from workbench.model.contract import AnyEncoder
from workbench.model.encode import box_of_scan, padded_box
from workbench.predict.query import Query, per_patch, token_weights
from workbench.prepare.one import Scans
from workbench.volumes.volume import Triple

Box = tuple[np.ndarray, np.ndarray]
SIGMA = 0.125  # of the Gaussian that weighs a window, as a share of its edge (nnU-Net)


@dataclass(frozen=True)
class Reading:
    """How a scan is read; see the settings of the same names in ``AttendConfig``."""

    block: BlockChoice = -1
    field: Literal["whole", "windows"] = "whole"
    overlap: float = 0.5
    merge: Literal["gaussian", "constant"] = "gaussian"
    shifts: int = 1
    interpolation: Literal["nearest", "linear"] = "nearest"


@dataclass(frozen=True)
class Maps:
    """Attention of one scan on its prepared grid."""

    values: np.ndarray  # (H, X, Y, Z) float32, in multiples of uniform attention
    outside_brain: np.ndarray  # (H,) share of the attention on patches that falls outside the brain
    outside_if_even: float  # what that share would be if each pass looked at every patch of its box alike
    norms: np.ndarray  # (P,) norm of each patch token after the last block, of the first pass
    brain: np.ndarray  # (P,) share of brain in each of these patches
    box: Box  # of these patches
    passes: int


def boxes(shape: Triple, patch: Triple, crop: Triple, reading: Reading) -> Iterator[Box]:
    """Boxes ``[low, high)`` in voxels of the prepared grid (they may reach beyond it), every patch grid shifted by
    whole fractions of a patch along each axis.
    """
    steps = [sorted({round(i * p / reading.shifts) for i in range(reading.shifts)}) for p in patch]
    for offset in itertools.product(*steps):
        low, high = padded_box(shape, patch)
        low, high = low - offset, high - offset
        high = high + np.where(high < shape, patch, 0)  # the far end must stay inside
        if reading.field == "whole":
            yield low, high
            continue
        starts = []
        for a, b, c, p in zip(low, high, crop, patch, strict=True):
            step = max(p, round(c * (1 - reading.overlap) / p) * p)
            starts.append([*range(a, max(b - c, a), step), max(b - c, a)])
        for corner in itertools.product(*starts):
            yield np.array(corner), np.array(corner) + crop


@torch.no_grad()
def scan_maps(encoder: AnyEncoder, store: Scans, scan: str, query: Query, reading: Reading) -> Maps:
    """The attention of a query over a whole scan.

    Where passes overlap, a voxel is the weighted mean of what they say, each in multiples of uniform attention over
    the patches of its own box. The weight of a pass at a voxel: 1 (one whole box a shift, or ``constant``) or a
    Gaussian about the window's centre, times the share of the query that the window holds.

    Raises:
        ScanError: the query has no place in this scan.
    """
    config, shape = encoder.config, store.shape(scan)
    patch, device = config.patch_xyz, next(encoder.parameters()).device
    total: np.ndarray | None = None
    weight_sum = np.zeros(shape, np.float32)
    outside: list[tuple[np.ndarray, float, float]] = []  # share of each head, share if even, share of the query held
    norms = brain = first = None
    for low, high in boxes(shape, patch, config.size_xyz, reading):
        weights, held = token_weights(query, store, scan, low, high, patch, config.registers)
        if not held:
            continue
        volume = box_of_scan(store, scan, low, high)
        inside = per_patch(volume[0, 0].numpy() != 0, patch) / np.prod(patch)
        if not inside.any():
            continue  # a window of background alone
        seen = look(encoder, volume.to(device), torch.from_numpy(weights)[None], block=reading.block)
        rows_HP = seen.rows_BHQN[0, :, 0, encoder.first_patch :]
        share = (rows_HP.cpu().numpy() * (1 - inside)).sum(1) / rows_HP.sum(1).cpu().numpy()
        outside.append((share, float(1 - inside.mean()), held))
        if norms is None:
            norms = seen.stream_BND[0, encoder.first_patch :].norm(dim=1).cpu().numpy()
            brain, first = inside, (low, high)
        values = enlarge(rows_HP.unflatten(1, seen.grid_xyz) * rows_HP.shape[1], patch, reading.interpolation)
        merge = "constant" if reading.field == "whole" else reading.merge
        weight = held * importance(tuple(high - low), merge)
        if total is None:
            total = np.zeros((len(values), *shape), np.float32)
        a, b = np.maximum(low, 0), np.minimum(high, shape)
        there = tuple(slice(p, q) for p, q in zip(a, b, strict=True))
        here = tuple(slice(p, q) for p, q in zip(a - low, b - low, strict=True))
        total[(slice(None), *there)] += values.cpu().numpy()[(slice(None), *here)] * weight[here]
        weight_sum[there] += weight[here]
    if total is None or norms is None or brain is None or first is None:
        raise ScanError(
            f"{scan}: nothing was looked at", cause=f"no box of it holds {query}", remedy="choose another query"
        )
    total /= np.maximum(weight_sum, 1e-12)  # voxels that no pass with this query covers stay 0
    each, evens, held_by = zip(*outside, strict=True)
    shares, even = np.average(each, axis=0, weights=held_by), float(np.average(evens, weights=held_by))
    return Maps(total, shares, even, norms, brain, first, len(outside))


def enlarge(maps_Hxyz: Tensor, patch: Triple, interpolation: str) -> Tensor:
    """Patch grid → voxels, ``(H, X, Y, Z)``."""
    size = tuple(n * p for n, p in zip(maps_Hxyz.shape[1:], patch, strict=True))
    mode = {"mode": "nearest"} if interpolation == "nearest" else {"mode": "trilinear", "align_corners": False}
    return torch.nn.functional.interpolate(maps_Hxyz[None], size=size, **mode)[0]


def importance(size: Triple, merge: str) -> np.ndarray:
    """Weight of a window at each of its voxels, largest 1."""
    if merge == "constant":
        return np.ones(size, np.float32)
    axes = [np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (SIGMA * n)) ** 2) for n in size]
    weight = axes[0][:, None, None] * axes[1][:, None] * axes[2]
    return np.maximum(weight / weight.max(), 1e-3).astype(np.float32)
