"""Heads used in pretraining only: projection to prototypes (DINO, iBOT, MC-SSL) and voxel reconstruction (SiT)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.volumes.volume import Triple


class Prototypes(nn.Module):
    """Cosine similarity to K learned directions: a weight-normalised linear layer without bias, norm fixed to 1."""

    def __init__(self, width: int, prototypes: int) -> None:
        super().__init__()
        self.directions = nn.Parameter(torch.randn(prototypes, width) / width**0.5)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, F.normalize(self.directions, dim=-1))


class ProjectionHead(nn.Module):
    """One MLP for CLS and patch tokens, L2 norm, then prototypes of their own (MC-SSL, arXiv 2402.15534).

    0 prototypes leave that layer out.
    """

    def __init__(self, width: int, hidden: int, bottleneck: int, prototypes_cls: int, prototypes_patch: int) -> None:
        super().__init__()
        self.mlp = mlp(width, hidden, bottleneck)
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        self.prototypes_cls = Prototypes(bottleneck, prototypes_cls) if prototypes_cls else None
        self.prototypes_patch = Prototypes(bottleneck, prototypes_patch) if prototypes_patch else None

    def _project(self, x: Tensor) -> Tensor:
        return F.normalize(self.mlp(x), dim=-1, eps=1e-6)

    def forward(self, cls_BD: Tensor, patches_MD: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Both kinds at once → logits ``(B, K)`` and ``(M, K)``, None where a kind has no prototypes. One pass through
        the MLP: for a handful of CLS tokens, reading its weights and writing their gradient is all the time there is.
        """
        if self.prototypes_cls is None or self.prototypes_patch is None:
            return (
                None if self.prototypes_cls is None else self.cls(cls_BD),
                None if self.prototypes_patch is None else self.patches(patches_MD),
            )
        cls, patches = self._project(torch.cat([cls_BD, patches_MD])).split([len(cls_BD), len(patches_MD)])
        return self.prototypes_cls(cls), self.prototypes_patch(patches)

    def cls(self, cls_BD: Tensor) -> Tensor:
        """CLS tokens ``(B, D)`` → logits ``(B, K)``."""
        assert self.prototypes_cls is not None
        return self.prototypes_cls(self._project(cls_BD))

    def patches(self, patches_BPD: Tensor) -> Tensor:
        """Patch tokens ``(…, D)`` → logits ``(…, K)``."""
        assert self.prototypes_patch is not None
        return self.prototypes_patch(self._project(patches_BPD))


def mlp(width: int, hidden: int, out: int) -> nn.Sequential:
    """Three linear layers with GELU between them."""
    return nn.Sequential(
        nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, out)
    )


class ContrastHead(nn.Module):
    """Tokens ``(…, D)`` → unit vectors ``(…, width)`` that are compared by their cosine: an MLP and an L2 norm."""

    def __init__(self, width: int, hidden: int, out: int) -> None:
        super().__init__()
        self.mlp = mlp(width, hidden, out)

    def forward(self, tokens: Tensor) -> Tensor:
        return F.normalize(self.mlp(tokens).float(), dim=-1)


class ReconstructionHead(nn.Module):
    """Patch tokens → their voxels: two Linear-GELU, then a transposed convolution with kernel = stride = patch. Patches
    do not overlap, so that convolution is one matrix product a token, and only the wanted tokens have to be rebuilt."""

    def __init__(self, width: int, patch_xyz: Triple, channels: int = 1) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width), nn.GELU())
        self.unpatch = nn.ConvTranspose3d(width, channels, kernel_size=patch_xyz, stride=patch_xyz)

    def forward(self, tokens_MD: Tensor) -> Tensor:
        """``(M, D)`` → ``(M, p, q, r)``, with ``c`` channels ``(M, c, p, q, r)``."""
        if self.unpatch.out_channels > 1:
            weight_Dcpqr, bias_c = self.unpatch.weight, self.unpatch.bias
            assert bias_c is not None
            rebuilt = (self.mlp(tokens_MD) @ weight_Dcpqr.flatten(1)).unflatten(1, weight_Dcpqr.shape[1:])
            return rebuilt + bias_c.view(-1, 1, 1, 1)
        weight_Dpqr, bias = self.unpatch.weight[:, 0], self.unpatch.bias
        assert bias is not None
        voxels = self.mlp(tokens_MD) @ weight_Dpqr.flatten(1)
        return (voxels + bias).unflatten(1, weight_Dpqr.shape[1:])
