"""Which device a job runs on, and what it can do."""

from __future__ import annotations

import resource
import time

import torch

from workbench.errors import ConfigError, WorkbenchError

# dense matrix FLOP/s of the data sheets, without sparsity: name in the driver's device name -> (bf16, float32)
PEAKS = {
    "H200": (989e12, 67e12),
    "H100 PCIe": (756e12, 51e12),
    "H100": (989e12, 67e12),
    "A100": (312e12, 19.5e12),
    "L40S": (362e12, 91.6e12),
    "A40": (149.7e12, 37.4e12),
    "A6000": (154.8e12, 38.7e12),
    "V100": (125e12, 15.7e12),
    "4090": (165e12, 82.6e12),
    "3090": (71e12, 35.6e12),
}


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


def arithmetic(device: torch.device | str, precision: str) -> torch.autocast:
    """What a forward pass computes in: float32, or bfloat16 where that is safe (``bf16-mixed``); weights, gradients and
    what is written stay float32."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16-mixed")


def check_convolutions(device: str, precision: str) -> None:
    """Refuse to train convolutions in bfloat16 on a CPU.

    Weight gradients of 3 x 3 x 3 convolutions with 64 channels and more on a few voxels are memory nobody wrote: with
    torch 2.13 they differ from run to run, up to 1e35, while the forward pass looks well. Linear layers and attention,
    which are all that pretraining has, do not.

    Raises:
        ConfigError: that is what is asked for.
    """
    if device == "cpu" and precision == "bf16-mixed":
        raise ConfigError(
            "precision bf16-mixed: not for convolutions on a CPU",
            cause="gradients of small 3D convolutions are wrong there, now and then and without a sign",
            remedy="use --precision 32-true, or a GPU",
        )


def peak_flops(device: torch.device, precision: str) -> tuple[float, str]:
    """What the device could do in a second at best, and where that number is from: the data sheet of a known GPU,
    else the best of a few large matrix products just measured."""
    half = precision.startswith("bf16")
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        for part, (bf16, full) in PEAKS.items():
            if part in name:
                return (bf16 if half else full), f"data sheet of {part}, {'bf16' if half else 'float32'}, dense"
    n, best = (4096 if device.type == "cuda" else 1024), float("inf")
    a = torch.randn(n, n, device=device, dtype=torch.bfloat16 if half else torch.float32)
    for _ in range(6):
        _wait(device)
        start = time.perf_counter()
        a @ a
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * n**3 / best, f"a {n}³ matrix product measured here, {torch.get_num_threads()} threads"


def memory_gb(device: torch.device) -> float:
    """Peak memory so far: of the device where it is a GPU, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
