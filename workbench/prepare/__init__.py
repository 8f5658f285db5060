"""Conform, normalise and crop every scan once, into a store with random access."""

import lazy_loader

from workbench import lazy

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
lazy.callable_room(__name__)
