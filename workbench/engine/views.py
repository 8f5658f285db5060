"""Views of a scan, batched on the device: parameters are drawn first by whoever needs them (NumPy, replayable), the box
they need is read, then all views of a batch are resampled together and changed in intensity.

Geometry of one view: ``source_voxel = matrix[:, :3] @ view_voxel + matrix[:, 3]``, both counted from 0 at voxel centres
of the prepared scan (RAS+, so axis 0 is left → right and a left-right flip is a flip of axis 0). Where a view is bent,
the displacement of `engine.bend` is added to that place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.engine.bend import displacement
from workbench.engine.view_params import SHIFT, ViewParams, box_corner
from workbench.volumes.volume import Triple


def make_views(
    boxes: Sequence[Tensor],
    matrices: np.ndarray,
    params: Sequence[ViewParams] | None,
    size: Triple,
    device: torch.device,
) -> Tensor:
    """Views ``(V, 1, *size)`` float32 on ``device``.

    Crop, zoom, rotation and flip are one trilinear interpolation, outside a box is 0; then the intensities change. On
    a GPU these are batched tensor operations (`crop_by_grid`, `change_intensities`), on a CPU the same arithmetic in
    one pass over the rows (`engine.views_cpu`). Only the noise differs between the two: each has its own generator.

    Args:
        boxes: V tensors ``(X, Y, Z)``, float16 as they are read or float32, each of its own size.
        matrices: ``(V, 3, 4)``, a view's voxel → its box's voxel.
        params: What changes the intensities; None leaves them.
    """
    if device.type == "cpu":
        from workbench.engine import views_cpu

        return views_cpu.make_views(boxes, matrices, params, size)
    together, into_box = pad_together(boxes, device), torch.from_numpy(matrices)
    if params is not None and any(p.bend for p in params):
        views = crop_bent(together, into_box, params, size)
    else:
        views = crop_by_grid(together, into_box, size)
    return views if params is None else change_intensities(views, params)


def by_channel(views: Tensor, channels: int) -> Tensor:
    """Views ``(channels · V, 1, …)``, all of a channel after all of the one before → ``(V, channels, …)``."""
    if channels == 1:
        return views
    return views.unflatten(0, (channels, -1)).squeeze(2).transpose(0, 1).contiguous()


def crop_bent(boxes: Tensor, matrices: Tensor, params: Sequence[ViewParams], size: Triple) -> Tensor:
    """`crop_by_grid` where the anatomy of some views is bent; linear interpolation."""
    device, views = boxes.device, []
    extent = torch.tensor(boxes.shape[2:], dtype=torch.float32, device=device)
    axes = torch.meshgrid(*[torch.arange(n, dtype=torch.float32, device=device) for n in size], indexing="ij")
    voxels_N3 = torch.stack(axes, dim=-1).flatten(0, 2)
    for v, one in enumerate(params):
        matrix = matrices[v].to(device, torch.float32)
        place_N3 = voxels_N3 @ matrix[:, :3].T + matrix[:, 3]
        if one.bend:
            corner, knots, scale = (
                torch.as_tensor(a, dtype=torch.float32, device=device)
                for a in (box_corner(one, matrices[v].numpy()), one.bend.knots, one.bend.scale)
            )
            place_N3 = place_N3 + displacement((place_N3 + corner)[None], knots[None], scale[None])[0]
        grid = ((place_N3 + 0.5) * 2 / extent - 1).flip(-1).view(1, *size, 3)
        views.append(F.grid_sample(boxes[v : v + 1].float(), grid, padding_mode="zeros", align_corners=False))
    return torch.cat(views)


def crop_by_grid(boxes: Tensor, matrices: Tensor, size: Triple, *, mode: str = "bilinear") -> Tensor:
    """`crop_boxes` by torch's `grid_sample`, on any device; ``mode`` "nearest" for labels."""
    extent = torch.tensor(boxes.shape[2:], dtype=torch.float32, device=boxes.device)
    # torch counts x, y, z = last, middle, first axis, from -1 to 1 between the outer edges of the outer voxels
    axes = [torch.arange(n, dtype=torch.float32, device=boxes.device) for n in size]
    matrices = matrices.to(boxes.device, torch.float32)
    scaled = matrices * (2 / extent)[:, None]
    offset = scaled[:, :, 3] + 1 / extent - 1  # (B, 3)
    i, j, k = (axes[a].view([-1 if d == a else 1 for d in range(3)]) for a in range(3))
    parts = [
        scaled[:, a, 0].view(-1, 1, 1, 1) * i
        + scaled[:, a, 1].view(-1, 1, 1, 1) * j
        + scaled[:, a, 2].view(-1, 1, 1, 1) * k
        + offset[:, a].view(-1, 1, 1, 1)
        for a in (2, 1, 0)
    ]
    grid = torch.stack(parts, dim=-1)  # (B, *size, 3)
    return F.grid_sample(boxes.float(), grid, mode=mode, padding_mode="zeros", align_corners=False)


def change_intensities(views: Tensor, params: Sequence[ViewParams]) -> Tensor:
    """Gamma, bias field, blur and noise for a batch ``(B, 1, X, Y, Z)``; what is outside the brain stays 0."""
    outside = views == 0
    x = _gamma_and_bias(views, params)
    sigmas = torch.tensor([p.blur for p in params], dtype=torch.float32, device=views.device)
    blurred = (sigmas > 0).nonzero().squeeze(1)  # half of the views are left sharp
    if len(blurred):
        x.masked_fill_(outside, 0)
        x[blurred] = _blur(x[blurred], sigmas[blurred])
    if any(p.noise > 0 for p in params):
        strength = torch.tensor([p.noise for p in params], dtype=torch.float32, device=views.device)
        x.addcmul_(seeded_noise(views, [p.seed for p in params]), strength.view(-1, 1, 1, 1, 1))
    return x.masked_fill_(outside, 0)


def seeded_noise(like: Tensor, seeds: Sequence[int]) -> Tensor:
    """N(0, 1) of the shape of ``like (B, …)``, each sample from its own seed, whatever batch it is in."""
    device = like.device
    return torch.stack(
        [
            torch.randn(like.shape[1:], generator=torch.Generator(device).manual_seed(seed), device=device)
            for seed in seeds
        ]
    )


def _gamma_and_bias(views: Tensor, params: Sequence[ViewParams]) -> Tensor:
    """In place on one new tensor: on a CPU, memory that is touched for the first time costs more than the arithmetic.

    With s = (x + SHIFT) / (2 · SHIFT), the brain's mean at 1/2: x' = 2 · SHIFT · ½^(1 - g) s^g exp(field) - SHIFT,
    computed as one logarithm and one exponential.
    """
    device = views.device
    exponent = torch.tensor([p.gamma for p in params], dtype=torch.float32, device=device).exp().view(-1, 1, 1, 1, 1)
    coefficients = torch.tensor(np.stack([p.bias for p in params]), dtype=torch.float32, device=device)  # (B, 10)
    u, v, w = (
        torch.linspace(-1, 1, n, device=device).view([-1 if d == a else 1 for d in range(3)])
        for a, n in enumerate(views.shape[2:])
    )
    one, cu, cv, cw, cuu, cvv, cww, cuv, cuw, cvw = coefficients.T[..., None, None, None]  # each (B, 1, 1, 1)
    # the field is quadratic: its first part does not depend on w, its second is w times what does not
    flat = one + cu * u + cv * v + cuu * u * u + cvv * v * v + cuv * u * v  # (B, X, Y, 1)
    tilt = cw + cuw * u + cvw * v
    x = (views + SHIFT).clamp_min_(0).mul_(1 / (2 * SHIFT)).log_().mul_(exponent)
    x += flat.unsqueeze(1) + (1 - exponent) * math.log(0.5) + math.log(2 * SHIFT)
    x.addcmul_(tilt.unsqueeze(1), w)
    x += (cww * w * w).unsqueeze(1)
    return x.exp_().sub_(SHIFT)


def _blur(x: Tensor, sigmas: Tensor) -> Tensor:
    """Separable Gaussian, a sigma a sample; what is outside the view counts as 0.

    Each axis is one product with a banded matrix, since a grouped convolution with a kernel a sample is slow on CPUs.
    """
    sigma = sigmas.view(-1, 1, 1)
    radius = (3 * sigma).floor() + 1  # of each sample: no view depends on the batch it is in

    def band(n: int) -> Tensor:
        """(B, n, n), symmetric."""
        at = torch.arange(n, device=x.device, dtype=torch.float32)
        return taps(at[:, None] - at[None]) / taps(reach).sum(dim=2, keepdim=True)

    def taps(apart: Tensor) -> Tensor:
        return torch.exp(-0.5 * (apart / sigma) ** 2) * (apart.abs() <= radius)

    furthest = int(radius.max())
    reach = torch.arange(-furthest, furthest + 1, device=x.device, dtype=torch.float32).view(1, 1, -1)
    samples, _, nx, ny, nz = x.shape
    y = (band(nx) @ x.reshape(samples, nx, ny * nz)).view(samples, nx, ny, nz)
    y = band(ny).unsqueeze(1) @ y
    y = y.view(samples, nx * ny, nz) @ band(nz)
    return y.view_as(x)


def pad_together(boxes: Sequence[Tensor], device: torch.device) -> Tensor:
    """Boxes of several sizes → one tensor ``(B, 1, X, Y, Z)``, zeros behind the shorter ones (zero is background)."""
    extent = np.max([box.shape for box in boxes], axis=0).tolist()
    out = torch.zeros((len(boxes), 1, *extent), dtype=boxes[0].dtype, device=device)
    for i, box in enumerate(boxes):
        x, y, z = box.shape
        out[i, 0, :x, :y, :z].copy_(box, non_blocking=True)
    return out
