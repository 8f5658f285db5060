"""Parameterised notebooks as jobs: each run in processes of its own, its record and its report in a run folder."""

import lazy_loader

from workbench import lazy

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
lazy.callable_room(__name__)
