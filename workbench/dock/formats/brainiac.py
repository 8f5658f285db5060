"""BrainIAC's ViT-B/16: MONAI's, whose first patch its authors take for CLS, though MONAI's has none."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from workbench.dock.formats import monai_vit
from workbench.dock.translation import Asked, NotThisForm, Translation
from workbench.model.foreign.vit import VitShape


def translate(tensors: Mapping[str, Tensor], asked: Asked) -> Translation:
    found = monai_vit.translate(tensors, asked)
    if not isinstance(found.shape, VitShape):
        raise NotThisForm("it is of pictures")
    shape = found.shape.model_copy(update={"pooled": "first"})
    return Translation(shape, found.rules)
