"""The loops behind `engine.views_cpu`, compiled: one row of a view after another."""

from __future__ import annotations

import math

import numba
import numpy as np
from numba import prange

# a gamma curve is a table over [0, SPAN) of the shifted intensity, read by linear interpolation; above, its last piece
STEPS, SPAN = 4096, 16.0
_GOLDEN, _MIX1, _MIX2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_POINT, _UNIT, _BEHIND = 2.0**32, np.float32(2.0**-32), np.int64(2**32 - 1)
_HALF_EXPONENT = np.float32(2.0**112)  # float16's exponent is biased by 15, float32's by 127


@numba.njit(parallel=True, cache=True, nogil=True, fastmath={"contract"})
def widen(box: np.ndarray, out: np.ndarray) -> None:
    """float16 ``box (X, Y, Z)``, seen as uint16, → the float32 bits ``out``, seen as uint32; finite numbers only."""
    for x in prange(box.shape[0]):
        for y in range(box.shape[1]):
            row = out[x, y]
            for z in range(box.shape[2]):
                bits = np.uint32(box[x, y, z])
                row[z] = ((bits & np.uint32(0x7FFF)) << np.uint32(13)) | ((bits & np.uint32(0x8000)) << np.uint32(16))
            values = row.view(np.float32)
            for z in range(box.shape[2]):
                values[z] *= _HALF_EXPONENT


@numba.njit(inline="always")
def _inside(m: np.ndarray, i: int, j: int, k: int, sx: int, sy: int, sz: int) -> bool:
    """All eight neighbours of the place are in the box."""
    x = m[0, 0] * i + m[0, 1] * j + m[0, 2] * k + m[0, 3]
    y = m[1, 0] * i + m[1, 1] * j + m[1, 2] * k + m[1, 3]
    z = m[2, 0] * i + m[2, 1] * j + m[2, 2] * k + m[2, 3]
    return 0 <= x < sx - 1.001 and 0 <= y < sy - 1.001 and 0 <= z < sz - 1.001


@numba.njit(inline="always")
def _at_edge(box: np.ndarray, x: float, y: float, z: float) -> np.float32:
    """Trilinear, neighbours outside the box counted as 0."""
    p, q, r = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    dx, dy, dz = np.float32(x - p), np.float32(y - q), np.float32(z - r)
    value = np.float32(0)
    for u in range(2):
        for v in range(2):
            for w in range(2):
                if 0 <= p + u < box.shape[0] and 0 <= q + v < box.shape[1] and 0 <= r + w < box.shape[2]:
                    value += (
                        box[p + u, q + v, r + w]
                        * (dx if u else np.float32(1) - dx)
                        * (dy if v else np.float32(1) - dy)
                        * (dz if w else np.float32(1) - dz)
                    )
    return value


@numba.njit(inline="always")
def _resample_row(box: np.ndarray, flat: np.ndarray, m: np.ndarray, i: int, j: int, out: np.ndarray) -> None:
    n = len(out)
    sx, sy, sz = box.shape
    first, last = 0, n  # the voxels of a row that lie inside are one run
    while first < n and not _inside(m, i, j, first, sx, sy, sz):
        first += 1
    while last > first and not _inside(m, i, j, last - 1, sx, sy, sz):
        last -= 1
    x0 = m[0, 0] * i + m[0, 1] * j + m[0, 3]
    y0 = m[1, 0] * i + m[1, 1] * j + m[1, 3]
    z0 = m[2, 0] * i + m[2, 1] * j + m[2, 3]
    for k in range(first):
        out[k] = _at_edge(box, x0 + m[0, 2] * k, y0 + m[1, 2] * k, z0 + m[2, 2] * k)
    for k in range(last, n):
        out[k] = _at_edge(box, x0 + m[0, 2] * k, y0 + m[1, 2] * k, z0 + m[2, 2] * k)
    # places as integers with 32 bits behind the point: rounding down is a shift, the remainder a mask
    x = np.int64((x0 + m[0, 2] * first) * _POINT)
    y = np.int64((y0 + m[1, 2] * first) * _POINT)
    z = np.int64((z0 + m[2, 2] * first) * _POINT)
    x_step, y_step, z_step = np.int64(m[0, 2] * _POINT), np.int64(m[1, 2] * _POINT), np.int64(m[2, 2] * _POINT)
    down, across = sy * sz, sz
    for k in range(first, last):
        at = np.uint64((x >> 32) * down + (y >> 32) * across + (z >> 32))
        dx, dy, dz = (np.float32(x & _BEHIND) * _UNIT, np.float32(y & _BEHIND) * _UNIT, np.float32(z & _BEHIND) * _UNIT)
        x += x_step
        y += y_step
        z += z_step
        a, b = flat[at], flat[at + np.uint64(1)]
        a += (b - a) * dz
        at += np.uint64(across)
        c, b = flat[at], flat[at + np.uint64(1)]
        c += (b - c) * dz
        at += np.uint64(down)
        e, b = flat[at], flat[at + np.uint64(1)]
        e += (b - e) * dz
        at -= np.uint64(across)
        d, b = flat[at], flat[at + np.uint64(1)]
        d += (b - d) * dz
        a += (c - a) * dy
        d += (e - d) * dy
        out[k] = a + (d - a) * dx


@numba.njit(inline="always")
def _bent_row(
    box: np.ndarray,
    m: np.ndarray,
    knots: np.ndarray,
    scale: np.ndarray,
    corner: np.ndarray,
    i: int,
    j: int,
    out: np.ndarray,
) -> None:
    """A row whose places are moved by the field of `engine.bend`: trilinear between its knots, level beyond."""
    last = knots.shape[1] - 1
    moved = np.empty(3, np.float32)
    for k in range(len(out)):
        x = m[0, 0] * i + m[0, 1] * j + m[0, 2] * k + m[0, 3]
        y = m[1, 0] * i + m[1, 1] * j + m[1, 2] * k + m[1, 3]
        z = m[2, 0] * i + m[2, 1] * j + m[2, 2] * k + m[2, 3]
        a = min(max((x + corner[0]) * scale[0], 0.0), float(last))
        b = min(max((y + corner[1]) * scale[1], 0.0), float(last))
        c = min(max((z + corner[2]) * scale[2], 0.0), float(last))
        p, q, r = min(int(a), last - 1), min(int(b), last - 1), min(int(c), last - 1)
        da, db, dc = np.float32(a - p), np.float32(b - q), np.float32(c - r)
        for d in range(3):
            f = knots[d]
            near = (f[p, q, r] * (1 - dc) + f[p, q, r + 1] * dc) * (1 - db) + (
                f[p, q + 1, r] * (1 - dc) + f[p, q + 1, r + 1] * dc
            ) * db
            far = (f[p + 1, q, r] * (1 - dc) + f[p + 1, q, r + 1] * dc) * (1 - db) + (
                f[p + 1, q + 1, r] * (1 - dc) + f[p + 1, q + 1, r + 1] * dc
            ) * db
            moved[d] = near + (far - near) * da
        out[k] = _at_edge(box, x + moved[0], y + moved[1], z + moved[2])


@numba.njit(inline="always")
def _curve_row(
    row: np.ndarray, curve: np.ndarray, shift: np.float32, field: float, ratio: float, bend: float, room: np.ndarray
) -> None:
    """Gamma by its table, times a bias field: its first value, that value's ratio to the next, and the ratio's own."""
    fields, places = room[1], room[0].view(np.int32)
    for k in range(len(row)):
        fields[k] = field
        field *= ratio
        ratio *= bend
    scale = np.float32(STEPS / SPAN)
    for k in range(len(row)):
        s = min(max((row[k] + shift) * scale, np.float32(0)), np.float32(1e6))
        places[k] = min(np.int32(s), np.int32(STEPS - 1))
        room[2, k] = s - np.float32(places[k])
    for k in range(len(row)):
        low = curve[places[k]]
        room[3, k] = low + (curve[places[k] + 1] - low) * room[2, k]
    for k in range(len(row)):
        row[k] = room[3, k] * fields[k] - shift if row[k] != 0 else np.float32(0)


@numba.njit(inline="always")
def _normal_row(normal: np.ndarray, seed: np.uint64, number: int, room: np.ndarray) -> None:
    """N(0, 1) for row ``number`` into ``room[1]``: splitmix64 gives the row two words, a hash of these and k gives
    voxel k its 16 bits."""
    z = seed + np.uint64(number) * _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _MIX1
    z = (z ^ (z >> np.uint64(27))) * _MIX2
    z ^= z >> np.uint64(31)
    first, second = np.uint32(z), np.uint32(z >> np.uint64(32))
    bits = room[0].view(np.uint32)
    for k in range(len(bits)):
        h = np.uint32(np.uint32(k) * np.uint32(0x9E3779B9) + first)  # numba makes the product of two uint32 a uint64
        h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x21F0AAAD))
        h = np.uint32(((h ^ (h >> np.uint32(15))) + second) * np.uint32(0x735A2D97))
        bits[k] = np.uint32(h ^ (h >> np.uint32(15))) >> np.uint32(16)
    for k in range(len(bits)):
        room[1, k] = normal[bits[k]]


@numba.njit(inline="always")
def _noise_row(
    row: np.ndarray,
    inside: np.ndarray,
    normal: np.ndarray,
    strength: np.float32,
    seed: np.uint64,
    number: int,
    room: np.ndarray,
) -> None:
    _normal_row(normal, seed, number, room)
    for k in range(len(row)):
        row[k] += strength * room[1, k] if inside[k] != 0 else np.float32(0)


@numba.njit(parallel=True, cache=True, nogil=True)
def replace_by_noise(view: np.ndarray, mask: np.ndarray, out: np.ndarray, normal: np.ndarray, seed: np.uint64) -> None:
    """``out (x, y, z)``: N(0, 1) where ``mask`` is true, ``view`` elsewhere."""
    nx, ny, nz = out.shape
    for i in prange(nx):
        room = np.empty((2, nz), np.float32)
        for j in range(ny):
            _normal_row(normal, seed, i * ny + j, room)
            for k in range(nz):
                out[i, j, k] = room[1, k] if mask[i, j, k] else view[i, j, k]


@numba.njit(parallel=True, cache=True, nogil=True, fastmath={"contract"})
def render(
    box: np.ndarray,
    m: np.ndarray,
    out: np.ndarray,
    curve: np.ndarray,
    shift: np.float32,
    bias: np.ndarray,
    normal: np.ndarray,
    strength: np.float32,
    seed: np.uint64,
    knots: np.ndarray,
    scale: np.ndarray,
    corner: np.ndarray,
) -> None:
    """Fill one view ``out (x, y, z)`` from ``box (X, Y, Z)``, both float32: resampled, bent unless ``knots`` is empty
    (``scale`` knots a voxel, ``corner`` the box's first voxel in the scan), gamma and bias field unless ``curve`` is
    empty, noise of ``strength``; what is 0 after resampling stays 0."""
    nx, ny, nz = out.shape
    flat = box.ravel()
    step_w = 2.0 / max(nz - 1, 1)
    for i in prange(nx):
        room = np.empty((4, nz), np.float32)
        u = -1 + 2.0 * i / max(nx - 1, 1)
        for j in range(ny):
            row = out[i, j]
            if knots.size:
                _bent_row(box, m, knots, scale, corner, i, j, row)
            else:
                _resample_row(box, flat, m, i, j, row)
            if len(curve):
                v = -1 + 2.0 * j / max(ny - 1, 1)
                level = bias[0] + bias[1] * u + bias[2] * v + bias[4] * u * u + bias[5] * v * v + bias[7] * u * v
                tilt, bow = bias[3] + bias[8] * u + bias[9] * v, bias[6]
                # exp of a parabola in w, from w = -1 on: each value is the last times a ratio, which has one of its own
                _curve_row(
                    row,
                    curve,
                    shift,
                    math.exp(level - tilt + bow),
                    math.exp(tilt * step_w + bow * (step_w * step_w - 2 * step_w)),
                    math.exp(2 * bow * step_w * step_w),
                    room,
                )
            if strength > 0:
                _noise_row(row, row, normal, strength, seed, i * ny + j, room)


@numba.njit(parallel=True, cache=True, nogil=True, fastmath={"contract"})
def blur(
    view: np.ndarray,
    taps: np.ndarray,
    middle: np.ndarray,
    out: np.ndarray,
    normal: np.ndarray,
    strength: np.float32,
    seed: np.uint64,
) -> None:
    """Separable Gaussian of ``view (x, y, z)`` into ``out`` with ``taps (r + 1,)`` from the centre outwards, zeros
    outside; then noise as in `render`. What is 0 in ``view`` stays 0. ``middle`` is room of the same shape."""
    nx, ny, nz = view.shape
    radius = len(taps) - 1
    for i in prange(nx):
        plane = np.zeros((ny, nz), np.float32)
        for j in range(ny):
            for k in range(nz):
                plane[j, k] = taps[0] * view[i, j, k]
            for r in range(1, radius + 1):
                for k in range(nz - r):
                    plane[j, k + r] += taps[r] * view[i, j, k]
                for k in range(nz - r):
                    plane[j, k] += taps[r] * view[i, j, k + r]
        for j in range(ny):
            row = middle[i, j]
            for k in range(nz):
                row[k] = taps[0] * plane[j, k]
            for r in range(1, radius + 1):
                for other in (j - r, j + r):
                    if 0 <= other < ny:
                        for k in range(nz):
                            row[k] += taps[r] * plane[other, k]
    for i in prange(nx):
        room = np.empty((4, nz), np.float32)
        for j in range(ny):
            row = out[i, j]
            for k in range(nz):
                row[k] = taps[0] * middle[i, j, k]
            for r in range(1, radius + 1):
                for other in (i - r, i + r):
                    if 0 <= other < nx:
                        for k in range(nz):
                            row[k] += taps[r] * middle[other, j, k]
            for k in range(nz):
                if view[i, j, k] == 0:
                    row[k] = 0
            if strength > 0:
                _noise_row(row, view[i, j], normal, strength, seed, i * ny + j, room)
