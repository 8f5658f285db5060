"""Looking into an encoder: attention, tokens, embeddings and their projections, site shift, and other scanners."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
