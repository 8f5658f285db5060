"""The 3D ViT with fused attention and an attention read-out, its heads, the UNETR decoder, and export."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
