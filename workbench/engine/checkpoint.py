"""Checkpoints without pickle: tensors in safetensors, the rest in a small JSON, written whole and then renamed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from workbench.errors import WorkbenchError

KEEP = 2  # the newest, and the one before it in case the newest is damaged later


def save_checkpoint(folder: Path, step: int, objective: nn.Module, optimiser: torch.optim.Optimizer,
                    facts: dict[str, Any]) -> Path:
    """Write ``folder/step-<step>/`` with everything needed to go on after ``step`` finished optimiser steps.

    Random numbers need no state: everything drawn is a function of the seed and the step.

    Raises:
        WorkbenchError: the disk is full or not writable; older checkpoints are left as they were.
    """
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"step-{step:08d}"
    partial = folder / f".partial-{os.getpid()}"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        save_file(_tensors(objective.state_dict()), partial / "objective.safetensors")
        save_file(_flatten(optimiser), partial / "optimiser.safetensors")
        (partial / "checkpoint.json").write_text(json.dumps({"step": step, **facts}, indent=2) + "\n")
        for file in partial.iterdir():
            _flush(file)
        shutil.rmtree(final, ignore_errors=True)
        os.replace(partial, final)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        kept = latest_checkpoint(folder)
        raise WorkbenchError(f"{final}: the checkpoint could not be written", cause=str(error),
                             remedy=f"free some space and run the same command again; it continues from "
                                    f"{kept.name if kept else 'the start'}") from error
    for old in sorted(folder.glob("step-*"))[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint. A folder gets its name only when it is whole, so the name is enough."""
    found = sorted(folder.glob("step-*"))
    return found[-1] if found else None


def load_checkpoint(path: Path, objective: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """Put a checkpoint back into ``objective`` and ``optimiser``; returns its facts (``step`` and the rest)."""
    try:
        objective.load_state_dict(load_file(path / "objective.safetensors"))
        _unflatten(optimiser, load_file(path / "optimiser.safetensors"))
        return json.loads((path / "checkpoint.json").read_text())
    except Exception as error:  # damaged on disk: name the file, keep the older ones
        raise WorkbenchError(f"{path}: the checkpoint cannot be read", cause=f"{type(error).__name__}: {error}"[:300],
                             remedy="remove this folder to continue from the one before it") from error


def _tensors(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in state.items()}


def _flatten(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """AdamW's state as flat names ``<parameter number>.<exp_avg | exp_avg_sq | step>``."""
    state = optimiser.state_dict()["state"]
    return {f"{number}.{key}": value.detach().cpu().contiguous()
            for number, entry in state.items() for key, value in entry.items()}


def _unflatten(optimiser: torch.optim.Optimizer, flat: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in flat.items():
        number, key = name.split(".", 1)
        state.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def _flush(path: Path) -> None:
    """To the disk before the rename, so that a power cut cannot leave a whole name on half a file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
