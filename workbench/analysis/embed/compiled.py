"""UMAP with what numba compiled for it kept on disk: its first fit otherwise takes 10 to 20 s in every process."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

CONSISTS_OF = ("umap-learn", "pynndescent", "numba", "numpy")


def import_umap() -> ModuleType:
    """The package ``umap``, compiled once an installation; numerically it is the same.

    numba keeps what a function asks it to keep, and most of UMAP's do not ask. What is kept lies among the package's
    own compiled Python, to be as safe as that, in a folder of the versions it was made with: numba would not
    notice that a library behind it has been replaced. Where it cannot be written each process compiles, as ever.
    """
    if "umap" in sys.modules:
        return sys.modules["umap"]
    import numba

    folder = _kept()
    if folder is None:
        return _import()
    compiler, where = numba.njit, numba.config.CACHE_DIR  # type: ignore[attr-defined]

    def keeping(*args: Any, **options: Any) -> Callable[..., Any]:
        if args and callable(args[0]):  # without parentheses
            return compiler(args[0], cache=True)
        return compiler(*args, **{"cache": True, **options})

    numba.njit, numba.config.CACHE_DIR = keeping, str(folder)  # type: ignore[attr-defined,assignment]
    try:
        return _import()
    finally:
        numba.njit, numba.config.CACHE_DIR = compiler, where  # type: ignore[attr-defined]


def _import() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of optional plotting, of tensorflow that is not there
        import umap
    return umap


def _kept() -> Path | None:
    """The folder, made; None where it cannot be had."""
    found = importlib.util.find_spec("umap")
    if found is None or not found.submodule_search_locations:
        return None
    versions = "-".join(importlib.metadata.version(name) for name in CONSISTS_OF)
    folder = Path(found.submodule_search_locations[0]) / "__pycache__" / f"numba-{versions}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None
