"""The objectives there are: every module of this folder that defines settings for one."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from pathlib import Path

from workbench.pretrain.objectives.settings import ObjectiveSettings


@cache
def objectives() -> dict[str, type[ObjectiveSettings]]:
    """Name → settings class."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"{__package__}.{module.name}")
    found = {c.model_fields["name"].default: c for c in ObjectiveSettings.__subclasses__()}
    return dict(sorted(found.items(), key=lambda item: item[0] != "volta"))  # the default first
