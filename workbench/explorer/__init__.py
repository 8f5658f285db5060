"""The app's state and its views over the run folders. Run it with ``workbench explore RUNS`` or ``panel serve``; in a
notebook ``show(run)`` gives the same views in a cell."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
