"""A cell: one job with its settings, in a folder whose name stands for all it depends on."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

import workbench
from workbench.runs import JobConfig, Run, digest_text, read_yaml
from workbench.runs.config import differing, without_later

CELLS = "cells"
KEY = 12  # characters of a key
GROUP = ["task", "direction", "fraction"]
"""What a number belongs to, besides its arm: one place in the study."""


@dataclass(frozen=True)
class Cell:
    """One run folder of the study.

    Attributes:
        key: Hash of the job, its settings and the keys or fingerprints of its inputs; no path and no name is in it.
        name: Folder below ``cells/``: words, and the key.
        config: Complete, with ``out`` set.
        about: What it is in the study: arm, task, direction …; for tables, not in the key.
    """

    key: str
    name: str
    config: JobConfig
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.config.out

    @property
    def done(self) -> bool:
        return (self.folder / "status.json").is_file() and Run(self.folder).ok

    @property
    def state(self) -> str:
        return str(Run(self.folder).status["state"]) if (self.folder / "status.json").is_file() else "new"

    def clear_if_moved(self) -> None:
        """An unfinished folder whose paths are others than now (the study was moved) is begun again."""
        file = self.folder / "config.yaml"
        if file.is_file() and not self.done:
            old, new = read_yaml(file), yaml.safe_load(self.config.to_yaml())
            old, new = (without_later(values, type(self.config)) for values in (old, new))
            if [line for line in differing(old, new) if not line.startswith("out: ")]:
                shutil.rmtree(self.folder)


def ask(cell: Cell, logs: Path) -> dict[str, Any]:
    """What a process that is to run a cell is told; its settings lie in ``logs``, where it writes what it prints."""
    cell.clear_if_moved()
    asked = logs / f"{cell.name}.yaml"
    asked.write_text(cell.config.to_yaml())
    return {"config": str(asked), "log": str(logs / f"{cell.name}.txt"), "how": cell.config.how()}


def make_cell(root: Path, config: JobConfig, inputs: Mapping[str, str], words: str, about: dict[str, Any]) -> Cell:
    """A cell below ``root/cells``.

    Args:
        config: Its ``out`` is replaced.
        inputs: Fingerprint of each setting that names something on disk (field name → key): it stands for the path.
        words: For people.
    """
    settings = without_later(yaml.safe_load(config.to_yaml()), type(config))
    settings.pop("out")
    for name in inputs:
        settings.pop(name, None)
    key = digest_text(
        workbench.__version__, json.dumps(settings, sort_keys=True), json.dumps(dict(inputs), sort_keys=True)
    )[:KEY]
    folder = root / CELLS
    there = [p.name for p in folder.glob(f"*-{key}")] if folder.is_dir() else []
    name = there[0] if there else f"{_slug(words)}-{key}"
    return Cell(key, name, config.model_copy(update={"out": folder.resolve() / name}), about)


def _slug(words: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", words.replace("→", "to"))[:70].strip("-._") or "cell"
