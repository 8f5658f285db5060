"""Which device a job runs on."""

from __future__ import annotations

import torch

from workbench.errors import WorkbenchError


def pick_device(accelerator: str) -> str:
    """``auto`` takes a GPU where there is one.

    Raises:
        WorkbenchError: a device was asked for that is not there.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if accelerator == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if there[name])
    if not there[accelerator]:
        raise WorkbenchError(f"{accelerator}: this device is not there", remedy="use --accelerator auto")
    return accelerator
