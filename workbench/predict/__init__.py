"""A model applied to one scan: prepared as its own scans were, answered in the scan's own space."""

import lazy_loader

from workbench import lazy

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
lazy.callable_room(__name__)
