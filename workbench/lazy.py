"""A room that is a job can be called: ``workbench.cohort`` is a package, and ``wb.cohort(…)`` does the job.

Importing a package makes it an attribute of the one above, so a function of the same name would be lost with the first
``from workbench.cohort import …``. The names of a room are in its stub (``__init__.pyi``), from which ``lazy_loader``
imports each when it is first used: `--help` never waits for torch.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from types import ModuleType
from typing import Any


class JobRoom(ModuleType):
    """A package that does the job it is named after when it is called."""

    def __call__(self, config: Any = None, /, *, overwrite: bool = False, **settings: Any) -> Any:
        return self._face().run(self._job, config, overwrite=overwrite, **settings)

    @property
    def _job(self) -> str:
        return self.__name__.rpartition(".")[2]

    @property
    def __signature__(self) -> inspect.Signature:
        signature: inspect.Signature = self._face().signature_of(self._job)
        return signature

    @staticmethod
    def _face() -> Any:
        return importlib.import_module("workbench.face")  # it stands on all rooms, so no room names it


def callable_room(package: str) -> None:
    """Make a package call its job."""
    sys.modules[package].__class__ = JobRoom
