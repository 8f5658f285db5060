"""A multi-site cohort with a known truth, made up from a template: for tests, demonstrations and method studies."""

import lazy_loader

from workbench import lazy

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
lazy.callable_room(__name__)
