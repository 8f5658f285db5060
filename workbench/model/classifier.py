"""The classification head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workbench.model.contract import AnyEncoder


class Classifier(nn.Module):
    """A linear layer on [CLS; mean of patch tokens] → logits ``(B, classes)``."""

    def __init__(self, encoder: AnyEncoder, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.linear = nn.Linear(2 * encoder.config.width, classes)
        nn.init.trunc_normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)

    def forward(self, volume_B1XYZ: Tensor) -> Tensor:
        tokens = self.encoder(volume_B1XYZ)
        return self.linear(torch.cat([tokens.cls_BD, tokens.patches_BPD.mean(dim=1)], dim=1))
