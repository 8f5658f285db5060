"""What a run depends on beside its parameters: the template, the content of its inputs, and the code."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import workbench
from workbench.errors import ConfigError
from workbench.runs import digest_path, digest_text

SKIPPED = {"out"}  # what the run writes is no input


def template_version(notebook: Path) -> str:
    """Of the cells' kinds, sources and tags: saving a notebook with other outputs does not change it."""
    content = json.loads(notebook.read_text())
    cells = [
        (cell.get("cell_type"), "".join(cell.get("source", "")), cell.get("metadata", {}).get("tags", []))
        for cell in content.get("cells", [])
    ]
    return digest_text(json.dumps(cells))


def code_version(kind: str) -> str:
    """Of the library: its version number, and for ``"source"`` every line of its Python files too."""
    return workbench.__version__ if kind == "release" else f"{workbench.__version__}+{_sources()[:12]}"


@functools.cache
def _sources() -> str:
    folder = Path(workbench.__file__).parent
    files = sorted(folder.rglob("*.py"))
    return digest_text(*(part for file in files for part in (file.relative_to(folder).as_posix(), file.read_text())))


class Inputs:
    """Fingerprints of files and folders by path, each read once for all the runs of a batch."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}

    def of(self, values: dict[str, Any], further: Iterable[Path] = ()) -> dict[str, str]:
        """``{name: fingerprint}`` of every parameter that names something on the disk, and of ``further`` paths.

        Raises:
            ConfigError: one of ``further`` does not exist.
        """
        found = {}
        for name, value in values.items():
            paths = [] if name in SKIPPED else [p for p in map(_path, _texts(value)) if p is not None]
            if paths:
                found[name] = digest_text(*map(self._digest, paths))
        for path in further:
            if not path.exists():
                raise ConfigError(f"{path}: no such input", remedy="correct it in the setting `inputs`")
            found[f"inputs: {path}"] = self._digest(path)
        return found

    def _digest(self, path: Path) -> str:
        path = path.resolve()
        if path not in self._known:
            self._known[path] = digest_path(path)
        return self._known[path]


def _texts(value: Any) -> list[str]:
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return [value] if isinstance(value, str) and value else []


def _path(text: str) -> Path | None:
    """The file or folder that a text names, if there is one: better a run too many than one on other data."""
    try:
        return Path(text) if Path(text).exists() else None
    except (OSError, ValueError):  # too long for a path, or a null byte
        return None
