"""anatomix-dev-vit: Primus V2 whose norms before the tokens have another epsilon, which no weight tells."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from workbench.dock.formats import primus
from workbench.dock.translation import Asked, Translation


def translate(tensors: Mapping[str, Tensor], asked: Asked) -> Translation:
    return primus.translate(tensors, asked, tokeniser_eps=1e-2)
