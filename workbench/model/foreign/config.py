"""The families of encoders made elsewhere, told apart by ``family``; an encoder of our own has none."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from workbench.model.config import EncoderConfig
from workbench.model.foreign.conv import PlainShape, ResEncShape, ResNetShape, SwinShape
from workbench.model.foreign.dense import DenseShape
from workbench.model.foreign.slices import SliceShape
from workbench.model.foreign.vit import VitShape

Foreign = VitShape | SwinShape | ResNetShape | ResEncShape | PlainShape | DenseShape | SliceShape


def _family(config: Any) -> str:
    family = config.get("family") if isinstance(config, dict) else getattr(config, "family", None)
    return "own" if family is None else str(family)


AnyConfig = Annotated[
    Annotated[EncoderConfig, Tag("own")]
    | Annotated[VitShape, Tag("vit")]
    | Annotated[SwinShape, Tag("swin")]
    | Annotated[ResNetShape, Tag("resnet")]
    | Annotated[ResEncShape, Tag("resenc")]
    | Annotated[PlainShape, Tag("plain")]
    | Annotated[DenseShape, Tag("dense")]
    | Annotated[SliceShape, Tag("slices")],
    Discriminator(_family),
]
"""Of any encoder, as a card carries it."""
