"""SimCLR (Chen et al., arXiv 2002.05709): two views of a scan are each other's only match in the batch."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from workbench.engine import ranks
from workbench.model.config import EncoderConfig
from workbench.model.flops import encoder_flops, mlp_flops
from workbench.model.vit import Encoder
from workbench.pretrain.objectives.base import VIEWS, Batch, Losses, Objective, StepInfo
from workbench.pretrain.objectives.settings import ObjectiveSettings
from workbench.pretrain.objectives.terms import spread


class SimclrSettings(ObjectiveSettings):
    """Contrastive learning of CLS. Negatives come from the micro-batch of all processes: accumulation adds none."""

    mask_ratio: ClassVar[float] = 0.0

    name: Literal["simclr"] = "simclr"
    """Which objective."""
    temperature: float = Field(0.2, gt=0)
    """Temperature of the similarities."""
    projection_hidden: int = Field(2048, ge=8)
    """Hidden width of the projection MLP."""
    projection: int = Field(128, ge=4)
    """Width of the space in which views are compared."""

    def build(self, encoder: EncoderConfig) -> Objective:
        return Simclr(encoder, self)

    def describe(self) -> str:
        return f"SimCLR: temperature {self.temperature:g}, projection {self.projection}"


class Simclr(Objective):
    def __init__(self, encoder: EncoderConfig, settings: SimclrSettings) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = Encoder(encoder)
        self.project = nn.Sequential(
            nn.Linear(encoder.width, settings.projection_hidden),
            nn.GELU(),
            nn.Linear(settings.projection_hidden, settings.projection),
        )

    def forward(self, batch: Batch, now: StepInfo) -> Losses:
        views = batch.corrupted.flatten(0, 1)  # (V·B, 1, X, Y, Z)
        tokens = self.encoder(views, drops=None if batch.drops is None else batch.drops.flatten(0, 1))
        z = F.normalize(self.project(tokens.cls_BD).float(), dim=-1).unflatten(0, batch.corrupted.shape[:2])
        loss = nt_xent(ranks.gather(z.transpose(0, 1)).transpose(0, 1), self.settings.temperature)
        monitors = spread(ranks.gather(tokens.cls_BD.detach())) if now.monitored else {}
        return Losses(loss, {"contrastive": loss}, monitors, {"contrastive": 1.0}, tokens.all_BND)

    @property
    def exported(self) -> Encoder:
        return self.encoder

    def flops(self, config: EncoderConfig, *, masked: float, local: tuple[int, int]) -> float:
        head = mlp_flops(1, config.width, self.settings.projection_hidden, self.settings.projection)
        return VIEWS * 3 * (encoder_flops(config) + head)


def nt_xent(z_VBD: torch.Tensor, temperature: float) -> torch.Tensor:
    """NT-Xent (eq. 1) of unit vectors of two views: mean cross-entropy of finding one's other view."""
    scans = z_VBD.shape[1]
    rows = z_VBD.flatten(0, 1)
    with torch.autocast(rows.device.type, enabled=False):  # cosines to three digits would not do
        scores = rows @ rows.T / temperature
    scores = scores.masked_fill(torch.eye(len(rows), dtype=torch.bool, device=rows.device), -torch.inf)
    other = torch.arange(len(rows), device=rows.device).roll(scans)
    return F.cross_entropy(scores, other)
