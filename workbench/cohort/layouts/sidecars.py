"""JSON beside scans, with BIDS' inheritance: a file higher up speaks for all scans below that it fits."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from workbench.cohort.source import entities_of, read_json, stem_of


class Sidecars:
    """Sidecars of one data set; every folder is listed and every shared file read once."""

    def __init__(self, root: Path, suffix: str) -> None:
        self.root, self.suffix = root, suffix
        self._listed = lru_cache(maxsize=1024)(self._list)
        self.unread: dict[Path, str] = {}  # by file, why
        self._read = lru_cache(maxsize=64)(lambda path: read_json(path, self.unread))

    def of(self, scan: Path) -> dict[str, Any]:
        """What is said of a scan; the nearer and the more particular file wins."""
        entities = set(entities_of(scan).items())
        folders = [folder for folder in reversed(scan.parents) if folder.is_relative_to(self.root)]
        said: dict[str, Any] = {}
        for folder in folders:
            for wanted, path in self._listed(folder):
                if wanted <= entities:
                    said |= read_json(path, self.unread) if folder == scan.parent else self._read(path)
        return said

    def _list(self, folder: Path) -> list[tuple[set[tuple[str, str]], Path]]:
        files = [p for p in folder.glob(f"*{self.suffix}.json") if stem_of(p).rsplit("_", 1)[-1] == self.suffix]
        found = [(set(entities_of(path).items()), path) for path in files]
        return sorted(found, key=lambda item: (len(item[0]), item[1].name))
