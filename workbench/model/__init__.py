"""The 3D ViT with fused attention and an attention read-out, its heads, the UNETR decoder, and export."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.model.config import EncoderConfig
    from workbench.model.export import EncoderCard, fresh_encoder, load_encoder, save_encoder
    from workbench.model.vit import Encoder, Tokens

__all__ = ["Encoder", "EncoderCard", "EncoderConfig", "Tokens", "fresh_encoder", "load_encoder", "save_encoder"]
__getattr__ = lazy.names(
    __name__,
    {
        "EncoderConfig": "config",
        "Encoder": "vit",
        "Tokens": "vit",
        **dict.fromkeys(["EncoderCard", "fresh_encoder", "load_encoder", "save_encoder"], "export"),
    },
)
