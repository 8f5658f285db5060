"""Fine-tuning of any exported encoder, and of the same architecture from random weights, under one protocol."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
