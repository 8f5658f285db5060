"""Views of a scan, batched on the device: parameters are drawn first by whoever needs them (NumPy, replayable), the box
they need is read, then all views of a batch are resampled together and changed in intensity.

Geometry of one view: ``source_voxel = matrix[:, :3] @ view_voxel + matrix[:, 3]``, both counted from 0 at voxel centres
of the prepared scan (RAS+, so axis 0 is left → right and a left-right flip is a flip of axis 0).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.volumes.volume import Triple

# z-scored intensities are shifted by this many standard deviations before anything multiplicative is done to them, so
# that they behave like raw intensities: practically all of a brain lies above -4
SHIFT = 4.0


@dataclass(frozen=True)
class ViewParams:
    """One view of one scan, drawn but not applied."""

    matrix: np.ndarray  # (3, 4) view voxel -> source voxel
    gamma: float  # log of the exponent
    bias: np.ndarray  # (10,) coefficients of a quadratic field
    noise: float  # standard deviation
    blur: float  # standard deviation in voxels of the view
    seed: int  # of the noise

    def box(self, size: Triple) -> tuple[np.ndarray, np.ndarray]:
        """Source voxels ``[low, high)`` that this view touches, one voxel wider for interpolation."""
        corners = np.stack(np.meshgrid(*[(0, n - 1) for n in size], indexing="ij"), -1).reshape(-1, 3)
        source = corners @ self.matrix[:, :3].T + self.matrix[:, 3]
        return np.floor(source.min(0)).astype(int), np.ceil(source.max(0)).astype(int) + 2


def identity_view(shape: Triple) -> ViewParams:
    """The scan as it is."""
    return ViewParams(np.eye(3, 4), 0.0, np.zeros(10), 0.0, 0.0, 0)


def crop_boxes(boxes: Tensor, matrices: Tensor, size: Triple, *, mode: str = "bilinear") -> Tensor:
    """Resample ``boxes (B, 1, X, Y, Z)`` at ``matrices (B, 3, 4)`` (view voxel → box voxel) to ``(B, 1, *size)``.

    Crop, zoom, rotation and flip in one interpolation; outside the box is 0.
    """
    extent = torch.tensor(boxes.shape[2:], dtype=torch.float32, device=boxes.device)
    # torch counts x, y, z = last, middle, first axis, from -1 to 1 between the outer edges of the outer voxels
    axes = [torch.arange(n, dtype=torch.float32, device=boxes.device) for n in size]
    matrices = matrices.to(boxes.device, torch.float32)
    scaled = matrices * (2 / extent)[:, None]
    offset = scaled[:, :, 3] + 1 / extent - 1  # (B, 3)
    i, j, k = (axes[a].view([-1 if d == a else 1 for d in range(3)]) for a in range(3))
    parts = [scaled[:, a, 0].view(-1, 1, 1, 1) * i + scaled[:, a, 1].view(-1, 1, 1, 1) * j
             + scaled[:, a, 2].view(-1, 1, 1, 1) * k + offset[:, a].view(-1, 1, 1, 1) for a in (2, 1, 0)]
    grid = torch.stack(parts, dim=-1)  # (B, *size, 3)
    return F.grid_sample(boxes.float(), grid, mode=mode, padding_mode="zeros", align_corners=False)


def change_intensities(views: Tensor, params: list[ViewParams]) -> Tensor:
    """Gamma, bias field, blur and noise for a batch ``(B, 1, X, Y, Z)``; what is outside the brain stays 0."""
    device = views.device
    brain = views != 0
    x = _gamma_and_bias(views, params)
    x = torch.where(brain, x, 0)
    sigmas = torch.tensor([p.blur for p in params], dtype=torch.float32, device=device)
    if bool((sigmas > 0).any()):
        x = _blur(x, sigmas)
    if any(p.noise > 0 for p in params):
        noise = torch.stack([torch.randn(views.shape[1:], generator=torch.Generator(device).manual_seed(p.seed),
                                         device=device) * p.noise for p in params])
        x = x + noise
    return torch.where(brain, x, 0)


def _gamma_and_bias(views: Tensor, params: list[ViewParams]) -> Tensor:
    shifted = (views + SHIFT).clamp_min(0) / (2 * SHIFT)  # the mean of the brain is at 1/2
    device = views.device
    log_gamma = torch.tensor([p.gamma for p in params], dtype=torch.float32, device=device).view(-1, 1, 1, 1, 1)
    exponent = log_gamma.exp()
    shifted = shifted.pow(exponent) * 0.5 ** (1 - exponent)  # keeps 1/2 where it is
    coefficients = torch.tensor(np.stack([p.bias for p in params]), dtype=torch.float32, device=device)  # (B, 10)
    u, v, w = (torch.linspace(-1, 1, n, device=device).view([-1 if d == a else 1 for d in range(3)])
               for a, n in enumerate(views.shape[2:]))
    terms = (torch.ones_like(u), u, v, w, u * u, v * v, w * w, u * v, u * w, v * w)
    field = sum(c.view(-1, 1, 1, 1) * t for c, t in zip(coefficients.T, terms, strict=True))
    assert isinstance(field, Tensor)
    return shifted * field.exp().unsqueeze(1) * 2 * SHIFT - SHIFT


def _blur(x: Tensor, sigmas: Tensor) -> Tensor:
    """Separable Gaussian, a sigma a sample (0 leaves it as it is)."""
    radius = int(3 * float(sigmas.max())) + 1
    taps = torch.arange(-radius, radius + 1, device=x.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (taps / sigmas.clamp_min(1e-3)[:, None]) ** 2)
    kernel = kernel / kernel.sum(dim=1, keepdim=True)  # (B, T); a delta where sigma is 0
    batch = x.transpose(0, 1)  # (1, B, X, Y, Z): each sample is a channel with its own kernel
    for axis in range(3):
        shape, pad = [1, 1, 1], [0, 0, 0]
        shape[axis], pad[axis] = len(taps), radius
        batch = F.conv3d(batch, kernel.view(len(x), 1, *shape), padding=tuple(pad), groups=len(x))
    return batch.transpose(0, 1)


def pad_together(arrays: list[np.ndarray]) -> Tensor:
    """Boxes of several sizes → one tensor ``(B, 1, X, Y, Z)``, zeros behind the shorter ones (zero is background)."""
    extent = np.max([a.shape for a in arrays], axis=0)
    out = np.zeros((len(arrays), 1, *extent), arrays[0].dtype)
    for i, a in enumerate(arrays):
        out[i, 0, :a.shape[0], :a.shape[1], :a.shape[2]] = a
    return torch.from_numpy(out)
