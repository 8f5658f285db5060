"""The peer of a pretraining step: VolTA as one would write it with MONAI's ViT and the formulas of the papers.

Heads, masks and settings are the workbench's own, and so is the loss of the contrast, which no package has; encoder,
reconstruction, the other losses, EMA and views are MONAI's or the papers'.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from monai.networks.nets import ViT
from torch import Tensor, nn

from workbench.model.config import EncoderConfig
from workbench.model.heads import ContrastHead, ProjectionHead, mlp
from workbench.pretrain.objectives.tokens import brain_tokens, match_other_view, match_same_view, token_numbers
from workbench.pretrain.objectives.volta import PLACE
from workbench.pretrain.objectives.volta_settings import VoltaSettings


def monai_vit(encoder: EncoderConfig) -> ViT:
    """MONAI's ViT with a CLS token, of the same shape."""
    vit = ViT(
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
    del vit.classification_head  # without it all tokens come back, CLS first
    return vit


class Rebuild(nn.Module):
    """Two Linear-GELU and a transposed convolution: patch tokens → the whole volume."""

    def __init__(self, encoder: EncoderConfig) -> None:
        super().__init__()
        d, patch, self.grid = encoder.width, encoder.patch_xyz, encoder.grid_xyz
        self.features = nn.Sequential(nn.Linear(d, d), nn.GELU(), nn.Linear(d, d), nn.GELU())
        self.unpatch = nn.ConvTranspose3d(d, 1, kernel_size=patch, stride=patch)

    def forward(self, patches: Tensor, clean: Tensor, masks: Tensor) -> Tensor:
        """Mean error of the masked voxels."""
        volume = self.unpatch(self.features(patches).transpose(1, 2).unflatten(2, self.grid))
        return ((volume - clean).abs() * masks).sum() / masks.sum()


class PeerBranch(nn.Module):
    """MONAI's ViT, and the projection head."""

    def __init__(self, encoder: EncoderConfig, s: VoltaSettings) -> None:
        super().__init__()
        self.vit = monai_vit(encoder)
        self.head = ProjectionHead(
            encoder.width, s.head_hidden, s.head_bottleneck, s.prototypes_cls, s.prototypes_patch
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        tokens, _ = self.vit(x)
        return tokens, self.head.cls(tokens[:, 0]), self.head.patches(tokens[:, 1:])


class Peer(nn.Module):
    """A student and its EMA teacher."""

    student: nn.Module
    teacher: nn.Module

    @torch.no_grad()
    def move_teacher(self, momentum: float) -> None:
        for old, new in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            old.mul_(momentum).add_(new, alpha=1 - momentum)


class PeerVolta(Peer):
    """By prototypes: centres and three losses, CLS crosswise, patches of the same view, masked voxels."""

    centre_cls: Tensor
    centre_patch: Tensor

    def __init__(self, encoder: EncoderConfig, s: VoltaSettings) -> None:
        super().__init__()
        self.s = s
        self.student = PeerBranch(encoder, s)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.rebuild = Rebuild(encoder)
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
        return loss_cls + loss_patch + self.rebuild(tokens[:, 1:], clean, masks)


class ContrastBranch(nn.Module):
    """MONAI's ViT, and the head whose unit vectors are compared."""

    def __init__(self, encoder: EncoderConfig, s: VoltaSettings) -> None:
        super().__init__()
        self.vit = monai_vit(encoder)
        self.head = ContrastHead(encoder.width, s.contrast_hidden, s.contrast_width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        tokens, _ = self.vit(x)
        return tokens, self.head(tokens[:, 1:])


class PeerContrast(Peer):
    """By contrast: tokens in the same view and in the other one, where CLS lies, masked voxels.

    Where views lie is given for nothing (all in one place, and looked for all the same): what a user must write
    to get it out of MONAI's transforms is left out.
    """

    def __init__(self, encoder: EncoderConfig, s: VoltaSettings) -> None:
        super().__init__()
        self.s, self.encoder = s, encoder
        self.student = ContrastBranch(encoder, s)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.rebuild = Rebuild(encoder)
        self.place = mlp(encoder.width, s.contrast_hidden, PLACE)

    def forward(self, clean: Tensor, corrupted: Tensor, masks: Tensor, tau: float) -> Tensor:
        """Each ``(2·B, 1, X, Y, Z)``, view-major."""
        s, grid = self.s, self.encoder.grid_xyz
        tokens, told = self.student(corrupted)
        with torch.no_grad():
            _, wanted = self.teacher(clean)
        brain = brain_tokens(clean, self.encoder.patch_xyz, s.brain_share)
        at = token_numbers(grid, clean).expand(len(clean), -1, -1)
        told, wanted = told.float(), wanted.float()
        other = torch.cat(wanted.chunk(2)[::-1])
        same = match_same_view(told, wanted, brain, brain, s.contrast_temperature)
        across = match_other_view(told, other, at, grid, brain, brain, s.negatives_apart, s.contrast_temperature)
        loss_cls = self.place(tokens[:, 0]).abs().mean()
        return loss_cls + same.loss + across.loss + self.rebuild(tokens[:, 1:], clean, masks)
