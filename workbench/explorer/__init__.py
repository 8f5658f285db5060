"""The app's state and its views over the run folders. Run it with ``workbench explore RUNS`` or ``panel serve``; in a
notebook ``show(run)`` gives the same views in a cell."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.explorer.cells.itk import view_itk
    from workbench.explorer.cells.jupyter import show

__all__ = ["show", "view_itk"]
__getattr__ = lazy.names(__name__, {"show": "cells.jupyter", "view_itk": "cells.itk"})
