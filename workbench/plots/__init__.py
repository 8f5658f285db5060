"""Plots as pure functions: a table or a volume in, a HoloViews element out. No server, no state; for notebooks and
the app."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
