"""A checkpoint as others wrote it: tensors by name, read without pickle and with bounds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workbench.errors import WorkbenchError

MAX_BYTES = 16 * 2**30  # of a file: a ViT-g with its optimiser is 12 GiB
MAX_TENSORS = 100_000
WRAPPERS = ("module.", "_orig_mod.")  # of DistributedDataParallel and torch.compile


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """All tensors of a checkpoint by dotted name, on the CPU, float32 where they are numbers with a fraction.

    ``.safetensors`` as such; everything else by torch with ``weights_only``, which builds nothing but tensors, numbers,
    text and containers. Whatever a wrapper put before each name is taken off.

    Raises:
        WorkbenchError: it is not there, is too large, needs pickle, or holds no tensors.
    """
    if not path.is_file():
        raise WorkbenchError(f"{path}: no such file", remedy="give the published checkpoint")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise WorkbenchError(f"{path}: too large", cause=f"{size:,} bytes; {MAX_BYTES:,} is the limit")
    found = _flat(_read(path))
    if not found:
        raise WorkbenchError(f"{path}: holds no tensors", remedy="give the checkpoint of the encoder")
    bad = [name for name, value in found.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if bad:
        raise WorkbenchError(
            f"{path}: holds weights that are no numbers", cause=f"NaN or infinite in {', '.join(bad[:3])}"
        )
    return found


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise WorkbenchError(f"{path}: truncated or damaged", cause=str(error).splitlines()[0][:200]) from error
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as first:  # torch raises its own kinds, pickle's, zipfile's, and RuntimeError
        try:
            return torch.load(path, map_location="cpu", weights_only=True)  # the form of before 2020 cannot be mapped
        except Exception:
            cause = next(iter(str(first).splitlines()), type(first).__name__)[:200]
            raise WorkbenchError(
                f"{path}: cannot be read without pickle",
                cause=cause,
                remedy="it is damaged, or holds more than tensors: where you trust it, save its state dict alone "
                "(torch.save(model.state_dict(), …) or safetensors) and import that",
            ) from first


def _flat(value: Any, prefix: str = "", depth: int = 0) -> dict[str, Tensor]:
    """Tensors of nested mappings by dotted name; optimisers' are in lists and are not followed."""
    found: dict[str, Tensor] = {}
    if not isinstance(value, Mapping) or depth > 6:
        return found
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if isinstance(inner, Tensor):
            found[name] = inner.float() if inner.is_floating_point() else inner
        elif isinstance(inner, Mapping) and "optim" not in str(key):
            found |= _flat(inner, f"{name}.", depth + 1)
        if len(found) > MAX_TENSORS:
            raise WorkbenchError("checkpoint: too many tensors", cause=f"more than {MAX_TENSORS:,}")
    return found


def without_wrappers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names without what DistributedDataParallel and torch.compile put before or into them."""
    out = {}
    for name, value in tensors.items():
        for wrapper in WRAPPERS:
            name = name.removeprefix(wrapper).replace(f".{wrapper}", ".")
        out[name] = value
    return out
