"""Views of a scan on a CPU: crop, zoom, rotation, flip, gamma, bias field, blur and noise in one pass over the rows.

The arithmetic of `engine.views`, where each step is a batched tensor operation. On a CPU most of those operations'
time goes into memory that is touched for the first time, and torch's `grid_sample` in 3D is a scalar loop over a grid
three times as large as the result. Here a row is made, changed and written while it is in the cache; exponents come
from tables, a bias field's exponential from the one before it, and noise from a hash of the voxel's place.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import numba
import numpy as np
import torch
from torch import Tensor

from workbench.engine.view_params import SHIFT, ViewParams, blur_radius, box_corner
from workbench.engine.view_rows import SPAN, STEPS, blur, render, replace_by_noise, widen


def make_views(
    boxes: Sequence[Tensor], matrices: np.ndarray, params: Sequence[ViewParams] | None, size: tuple[int, int, int]
) -> Tensor:
    """`engine.views.make_views` on a CPU: boxes ``(X, Y, Z)``, each of its own size → ``(V, 1, *size)``."""
    out = torch.empty((len(boxes), *size))
    views = out.numpy()
    with _threads_of_torch():
        for v, box in enumerate(boxes):
            _one_view(_as_float32(box.contiguous().numpy()), matrices[v], params[v] if params else None, views[v])
    return out.unsqueeze(1)


def masked_by_noise(views: Tensor, masks: Tensor, seeds: Sequence[int]) -> Tensor:
    """Views ``(V, 1, X, Y, Z)`` float32 with N(0, 1) where ``masks`` is true, each view's from its own seed."""
    out = torch.empty(views.shape)
    with _threads_of_torch():
        for view, mask, result, seed in zip(views, masks, out, seeds, strict=True):
            replace_by_noise(
                view[0].contiguous().numpy(),
                mask[0].contiguous().numpy(),
                result[0].numpy(),
                normal_table(),
                np.uint64(seed),
            )
    return out


def _as_float32(box: np.ndarray) -> np.ndarray:
    if box.dtype == np.float32:
        return box
    wide = _room("box", box.shape)
    widen(box.view(np.uint16), wide.view(np.uint32))
    return wide


def _one_view(box: np.ndarray, matrix: np.ndarray, params: ViewParams | None, out: np.ndarray) -> None:
    if params is None:
        render(box, matrix, out, _NO_CURVE, _SHIFT, _NO_BIAS, _NO_CURVE, np.float32(0), np.uint64(0), *_STRAIGHT)
        return
    changed = params.gamma != 0 or params.bias.any()
    curve = gamma_table(math.exp(params.gamma), SHIFT) if changed else _NO_CURVE
    strength, seed = np.float32(params.noise), np.uint64(params.seed)
    bend = _STRAIGHT if params.bend is None else (params.bend.knots, params.bend.scale, box_corner(params, matrix))
    if params.blur == 0:
        render(box, matrix, out, curve, _SHIFT, params.bias, normal_table(), strength, seed, *bend)
        return
    sharp = _room("sharp", out.shape)
    render(box, matrix, sharp, curve, _SHIFT, params.bias, normal_table(), np.float32(0), seed, *bend)
    taps = np.exp(-0.5 * (np.arange(blur_radius(params.blur) + 1) / params.blur) ** 2)
    halved = (taps / (2 * taps.sum() - taps[0])).astype(np.float32)
    blur(sharp, halved, _room("middle", out.shape), out, normal_table(), strength, seed)


_STRAIGHT = (np.empty((0, 0, 0, 0), np.float32), np.ones(3), np.zeros(3))
_NO_CURVE, _NO_BIAS, _SHIFT = np.empty(0, np.float32), np.zeros(10), np.float32(SHIFT)
_rooms = threading.local()


def _room(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """float32 memory that is used again and again: fresh pages cost more than what is computed into them."""
    count = math.prod(shape)
    kept = getattr(_rooms, name, None)
    if kept is None or kept.size < count:
        kept = np.empty(count, np.float32)
        setattr(_rooms, name, kept)
    return kept[:count].reshape(shape)


@contextmanager
def _threads_of_torch() -> Iterator[None]:
    """As many threads as torch uses, so that a process told to use one core does.

    numba shares torch's OpenMP, and its first start sets the number of threads there to that of the cores: it is put
    back, or the sums of everything after would be rounded otherwise than before.
    """
    count, before = torch.get_num_threads(), numba.get_num_threads()
    numba.set_num_threads(max(1, min(count, numba.config.NUMBA_NUM_THREADS)))  # type: ignore[attr-defined]
    try:
        yield
    finally:
        numba.set_num_threads(before)
        torch.set_num_threads(count)


@cache
def normal_table() -> np.ndarray:
    """65,536 quantiles of N(0, 1), float32: 16 random bits → a normal number; the largest is 4.3."""
    from scipy.special import ndtri

    return ndtri((np.arange(65536) + 0.5) / 65536).astype(np.float32)


def gamma_table(exponent: float, shift: float) -> np.ndarray:
    """s → 2·shift · ½^(1 - g) · (s / 2·shift)^g at ``STEPS + 1`` places of [0, SPAN], float32."""
    places = np.linspace(0, SPAN, STEPS + 1)
    return (2 * shift * 0.5 ** (1 - exponent) * (places / (2 * shift)) ** exponent).astype(np.float32)
