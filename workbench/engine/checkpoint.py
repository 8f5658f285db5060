"""Checkpoints without pickle: tensors in safetensors, the rest in a small JSON, written whole and then renamed."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor

KEEP = 2  # the newest, and the one before it in case the newest is damaged later


@dataclass
class State:
    """Whole tensors on the CPU, whatever devices they were on: weights and buffers by name, and the optimiser's state
    as ``<parameter number>.<exp_avg | exp_avg_sq | step>``."""

    objective: dict[str, Tensor]
    optimiser: dict[str, Tensor]


def snapshot(objective: nn.Module, optimiser: torch.optim.Optimizer) -> State:
    """The state of a training. Every process of it must call this: shards are put together."""
    entries = optimiser.state_dict()["state"]
    return State(
        {name: whole(value) for name, value in objective.state_dict().items()},
        {f"{number}.{key}": whole(value) for number, entry in entries.items() for key, value in entry.items()},
    )


def whole(value: Tensor) -> Tensor:
    """A tensor on the CPU; of a sharded one, all of it."""
    value = value.detach()
    return (value.full_tensor() if _is_shard(value) else value).cpu().contiguous()


def _is_shard(value: Tensor) -> TypeGuard[DTensor]:
    """Where nothing was sharded its module, which is slow to import, was never needed."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(value, module.DTensor)


def save_checkpoint(folder: Path, step: int, state: State, facts: dict[str, Any]) -> Path:
    """Write ``folder/step-<step>/`` with everything needed to go on after ``step`` finished optimiser steps.

    Random numbers need no state: everything drawn is a function of the seed and the place in the run.

    Raises:
        WorkbenchError: the disk is full or not writable; older checkpoints are left as they were.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".partial-*"):  # of a process that was killed while writing
        shutil.rmtree(left, ignore_errors=True)
    final = folder / f"step-{step:08d}"
    partial = folder / f".partial-{os.getpid()}"
    try:
        partial.mkdir()
        save_file(state.objective, partial / "objective.safetensors")
        save_file(state.optimiser, partial / "optimiser.safetensors")
        (partial / "checkpoint.json").write_text(json.dumps({"step": step, **facts}, indent=2) + "\n")
        for file in partial.iterdir():
            _flush(file)
        shutil.rmtree(final, ignore_errors=True)
        os.replace(partial, final)
        _flush(folder)
    except (OSError, SafetensorError) as error:  # safetensors tells a full disk in an error of its own
        shutil.rmtree(partial, ignore_errors=True)
        kept = latest_checkpoint(folder)
        raise WorkbenchError(
            f"{final}: the checkpoint could not be written",
            cause=str(error),
            remedy=f"free some space and run the same command again; it continues from "
            f"{kept.name if kept else 'the start'}",
        ) from error
    for old in sorted(folder.glob("step-*"))[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint. A folder gets its name only when it is whole, so the name is enough."""
    found = sorted(folder.glob("step-*"))
    return found[-1] if found else None


def load_checkpoint(path: Path) -> tuple[dict[str, Any], State]:
    """Facts of a checkpoint (``step`` and the rest) and its state."""
    try:
        facts = json.loads((path / "checkpoint.json").read_text())
        return facts, State(load_file(path / "objective.safetensors"), load_file(path / "optimiser.safetensors"))
    except Exception as error:  # damaged on disk: name the file, keep the older ones
        raise WorkbenchError(
            f"{path}: the checkpoint cannot be read",
            cause=f"{type(error).__name__}: {error}"[:300],
            remedy="remove this folder to continue from the one before it",
        ) from error


def restore_optimiser(optimiser: torch.optim.Optimizer, flat: dict[str, Tensor]) -> None:
    """Put the state of ``snapshot`` back, sharded as its parameters are."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in flat.items():
        number, key = name.split(".", 1)
        parameter = parameters[int(number)]
        if _is_shard(parameter) and value.shape == parameter.shape:
            from torch.distributed.tensor import distribute_tensor

            value = distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
        state.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def _flush(path: Path) -> None:
    """To the disk before the rename, so that a power cut cannot leave a whole name on half a file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
