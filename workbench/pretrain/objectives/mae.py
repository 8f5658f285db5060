"""Masked autoencoder (He et al., arXiv 2111.06377) in 3D: the encoder sees the visible tokens only, a light decoder
rebuilds the voxels of the masked ones.

Shape suffixes as in ``workbench.model.vit``; S visible tokens, v voxels of a patch.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from workbench.engine import ranks
from workbench.errors import ConfigError
from workbench.model.config import EncoderConfig
from workbench.model.contract import Tokens
from workbench.model.flops import blocks_flops, encoder_flops, mlp_flops
from workbench.model.vit import Block, Encoder, cubes
from workbench.pretrain.masking import to_tokens
from workbench.pretrain.objectives.base import VIEWS, Batch, Losses, Objective, StepInfo, there
from workbench.pretrain.objectives.settings import ObjectiveSettings
from workbench.pretrain.objectives.terms import spread


class MaeSettings(ObjectiveSettings):
    """Masked autoencoding: mean squared error on the voxels of masked patches."""

    mask_ratio: ClassVar[float] = 0.75

    name: Literal["mae"] = "mae"
    """Which objective."""
    decoder_width: int = Field(192, ge=64, multiple_of=64)
    """Width of the decoder's tokens, 64 a head."""
    decoder_depth: int = Field(4, ge=1)
    """Blocks of the decoder."""
    normalise: bool = True
    """Targets are normalised within each patch (the paper's better variant)."""

    @property
    def compares(self) -> frozenset[str]:
        return frozenset()  # each view is rebuilt by itself

    def build(self, encoder: EncoderConfig) -> Objective:
        return Mae(encoder, self)

    def describe(self) -> str:
        return (
            f"MAE: decoder {self.decoder_width}x{self.decoder_depth}, "
            f"{'normalised' if self.normalise else 'raw'} targets"
        )


class Mae(Objective):
    def __init__(self, encoder: EncoderConfig, settings: MaeSettings) -> None:
        super().__init__()
        self.settings, self.patch_xyz = settings, encoder.patch_xyz
        width, voxels = settings.decoder_width, encoder.channels * math.prod(encoder.patch_xyz)
        self.encoder = Encoder(encoder)
        self.enter = nn.Linear(encoder.width, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.decoder_positions = nn.Parameter(torch.zeros(1, math.prod(encoder.grid_xyz), width))
        for parameter in (self.mask_token, self.decoder_positions):
            nn.init.trunc_normal_(parameter, std=0.02)
        self.decoder = nn.ModuleList(Block(width, width // 64) for _ in range(settings.decoder_depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.rebuild = nn.Linear(width, voxels)

    def forward(self, batch: Batch, now: StepInfo) -> Losses:
        clean, masks = batch.clean.flatten(0, 1), batch.masks.flatten(0, 1)  # (V·B, 1, X, Y, Z)
        masked_BP = to_tokens(masks, self.patch_xyz)
        visible = int((~masked_BP[0]).sum())
        if not bool(((~masked_BP).sum(dim=1) == visible).all()) or visible == 0:
            raise ConfigError(
                "MAE needs the same number of masked tokens, and a visible one, in every view",
                remedy="leave mask.align at 0 (the patch) and mask.ratio below 1",
            )
        order = masked_BP.to(torch.uint8).argsort(dim=1, stable=True)  # visible tokens first, each in its own order
        keep_BS = order[:, :visible]
        tokens = self.encoder(clean, keep=keep_BS, drops=None if batch.drops is None else batch.drops.flatten(0, 1))

        patches_BSD = self.enter(tokens.patches_BPD)
        full = self.mask_token.to(patches_BSD.dtype).expand(len(clean), masked_BP.shape[1], -1)
        full = full.scatter(1, keep_BS.unsqueeze(-1).expand_as(patches_BSD), patches_BSD) + self.decoder_positions
        x = torch.cat([self.enter(tokens.cls_BD).unsqueeze(1), full], dim=1)
        for block in self.decoder:
            x = block(x)
        rebuilt_BPv = self.rebuild(self.norm(x[:, 1:])).float()

        target_BPv = cubes(clean, self.patch_xyz)[0]
        if clean.shape[1] > 1:
            return self._by_channel(batch, rebuilt_BPv, target_BPv, masked_BP, tokens, now)
        if self.settings.normalise:
            centred = target_BPv - target_BPv.mean(dim=-1, keepdim=True)
            # background patches are constant: without the floor their rounding would be blown up
            target_BPv = centred / (target_BPv.var(dim=-1, keepdim=True) + 1e-2).sqrt()
        error_BP = (rebuilt_BPv - target_BPv).square().mean(dim=-1)
        loss = ranks.share((error_BP * masked_BP).sum(), masked_BP.sum())
        monitors = spread(ranks.gather(tokens.cls_BD.detach())) if now.monitored else {}
        return Losses(loss, {"reconstruction": loss}, monitors, {"reconstruction": 1.0}, tokens.all_BND)

    def _by_channel(
        self, batch: Batch, rebuilt_BPv: Tensor, target_BPv: Tensor, masked_BP: Tensor, tokens: Tokens, now: StepInfo
    ) -> Losses:
        """The same where a scan has several contrasts: each is normalised by itself, and those that are not there have
        no error."""
        has_BC = there(batch)
        target_BPCv, rebuilt_BPCv = (t.unflatten(-1, (has_BC.shape[1], -1)) for t in (target_BPv, rebuilt_BPv))
        if self.settings.normalise:
            centred = target_BPCv - target_BPCv.mean(dim=-1, keepdim=True)
            target_BPCv = centred / (target_BPCv.var(dim=-1, keepdim=True) + 1e-2).sqrt()
        counted_BPC = masked_BP.unsqueeze(-1) & has_BC.unsqueeze(1)
        error_BPC = (rebuilt_BPCv - target_BPCv).square().mean(dim=-1)
        loss = ranks.share((error_BPC * counted_BPC).sum(), counted_BPC.sum())
        monitors = spread(ranks.gather(tokens.cls_BD.detach())) if now.monitored else {}
        return Losses(loss, {"reconstruction": loss}, monitors, {"reconstruction": 1.0}, tokens.all_BND)

    @property
    def exported(self) -> Encoder:
        return self.encoder

    def flops(self, config: EncoderConfig, *, masked: float, local: tuple[int, int]) -> float:
        s, patches = self.settings, math.prod(config.grid_xyz)
        seen = round(patches * (1 - masked))
        decoder = (
            mlp_flops(seen + 1, config.width, s.decoder_width)
            + blocks_flops(s.decoder_width, s.decoder_depth, patches + 1)
            + mlp_flops(patches, s.decoder_width, config.channels * math.prod(config.patch_xyz))
        )
        return VIEWS * 3 * (encoder_flops(config, seen=seen) + decoder)
