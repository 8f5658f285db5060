"""The peer of a pretraining step: VolTA as one would write it with MONAI's ViT and the formulas of the papers.

The projection head, masks and settings are the workbench's own; encoder, reconstruction, losses, EMA and views are
MONAI's or the papers'.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from monai.networks.nets import ViT
from torch import Tensor, nn

from workbench.model.config import EncoderConfig
from workbench.model.heads import ProjectionHead
from workbench.pretrain.objectives.volta_settings import VoltaSettings


class PeerBranch(nn.Module):
    """MONAI's ViT with a CLS token, and the projection head."""

    def __init__(self, encoder: EncoderConfig, s: VoltaSettings) -> None:
        super().__init__()
        self.vit = ViT(
            1,
            encoder.size_xyz,
            encoder.patch_xyz,
            hidden_size=encoder.width,
            mlp_dim=4 * encoder.width,
            num_layers=encoder.depth,
            num_heads=encoder.heads,
            proj_type="perceptron",
            classification=True,
            qkv_bias=True,
        )
        del self.vit.classification_head  # without it all tokens come back, CLS first
        self.head = ProjectionHead(
            encoder.width, s.head_hidden, s.head_bottleneck, s.prototypes_cls, s.prototypes_patch
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        tokens, _ = self.vit(x)
        return tokens, self.head.cls(tokens[:, 0]), self.head.patches(tokens[:, 1:])


class PeerVolta(nn.Module):
    """Student, EMA teacher, centres and three losses: CLS crosswise, patches of the same view, masked voxels."""

    centre_cls: Tensor
    centre_patch: Tensor

    def __init__(self, encoder: EncoderConfig, s: VoltaSettings) -> None:
        super().__init__()
        self.s, self.grid = s, encoder.grid_xyz
        self.student = PeerBranch(encoder, s)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        d, patch = encoder.width, encoder.patch_xyz
        self.features = nn.Sequential(nn.Linear(d, d), nn.GELU(), nn.Linear(d, d), nn.GELU())
        self.unpatch = nn.ConvTranspose3d(d, 1, kernel_size=patch, stride=patch)
        self.register_buffer("centre_cls", torch.zeros(s.prototypes_cls))
        self.register_buffer("centre_patch", torch.zeros(s.prototypes_patch))

    def forward(self, clean: Tensor, corrupted: Tensor, masks: Tensor, tau: float) -> Tensor:
        """Each ``(2·B, 1, X, Y, Z)``, view-major."""
        tokens, cls, patch = self.student(corrupted)
        with torch.no_grad():
            _, teacher_cls, teacher_patch = self.teacher(clean)
            target_cls = F.softmax((teacher_cls - self.centre_cls) / tau, dim=-1)
            target_patch = F.softmax((teacher_patch - self.centre_patch) / tau, dim=-1)
            keep = self.s.centre_momentum
            self.centre_cls.mul_(keep).add_(teacher_cls.mean(dim=0), alpha=1 - keep)
            self.centre_patch.mul_(keep).add_(teacher_patch.mean(dim=(0, 1)), alpha=1 - keep)
        crossed = torch.cat(target_cls.chunk(2)[::-1])
        temperature = self.s.student_temperature
        loss_cls = -(crossed * F.log_softmax(cls / temperature, dim=-1)).sum(dim=-1).mean()
        loss_patch = -(target_patch * F.log_softmax(patch / temperature, dim=-1)).sum(dim=-1).mean()
        volume = self.unpatch(self.features(tokens[:, 1:]).transpose(1, 2).unflatten(2, self.grid))
        loss_voxels = ((volume - clean).abs() * masks).sum() / masks.sum()
        return loss_cls + loss_patch + loss_voxels

    @torch.no_grad()
    def move_teacher(self, momentum: float) -> None:
        for old, new in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            old.mul_(momentum).add_(new, alpha=1 - momentum)
