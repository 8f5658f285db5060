"""A study: arms compared on the same people under the same settings, from one YAML to tables and a report."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
