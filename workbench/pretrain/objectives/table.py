"""The objectives there are: every module of this folder that defines settings for one, and those of other packages.

A package of your own offers its objective by an entry point, and it is then a choice of ``--objective.name``::

    [project.entry-points."workbench.objectives"]
    mine = "my_package.my_objective:MySettings"
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from workbench.errors import ConfigError
from workbench.pretrain.objectives.settings import ObjectiveSettings

GROUP = "workbench.objectives"


@cache
def objectives() -> dict[str, type[ObjectiveSettings]]:
    """Name → settings class.

    Raises:
        ConfigError: two objectives have one name.
    """
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"{__package__}.{module.name}")
    own = [c for c in ObjectiveSettings.__subclasses__() if c.__module__.startswith(f"{__package__}.")]
    found: dict[str, type[ObjectiveSettings]] = {}
    for settings in (*own, *from_packages(entry_points(group=GROUP))):
        name = str(settings.model_fields["name"].default)
        if name in found:
            raise ConfigError(
                f"two objectives are called '{name}'",
                cause=f"{found[name].__module__} and {settings.__module__}",
                remedy="give one of them another name, or remove its package",
            )
        found[name] = settings
    return dict(sorted(found.items(), key=lambda item: item[0] != "volta"))  # the default first


def from_packages(points: Iterable[EntryPoint]) -> list[type[ObjectiveSettings]]:
    """Settings classes that other packages offer; one that cannot be loaded is said, and the others are still there."""
    found = []
    for point in points:
        try:
            settings = point.load()
            if not (isinstance(settings, type) and issubclass(settings, ObjectiveSettings)):
                raise TypeError("it is no subclass of ObjectiveSettings")
            found.append(settings)
        except Exception as error:  # whatever somebody's package does at its import
            print(f"objective '{point.name}' ({point.value}) is left out: {error!r}", file=sys.stderr)
    return found
