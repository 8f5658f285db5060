"""Pretraining on one GPU through the real job: how much of the device is used.

    python -m benchmarks.gpu_pretrain [--quick] [--preset small] [--device cpu --tiny]

ViT-B/16 (or ViT-S/16), VolTA, two global crops of 96³, bf16, from a prepared store of 32 simulated brain boxes at 1 mm
(about 140 x 170 x 140). The figures are those that `workbench pretrain` logs, over the steps after a warm-up of a
fifth; FLOPs by the formula of `workbench.pretrain.train.step_flops`, the peak by that of `engine.device.peak_flops`. A
second, short run goes under torch's profiler, whose longest kernels are printed on stderr.

The last line on stdout is one JSON object. ``ours`` is the share of the peak (MFU) and ``peer`` the goal of 0.5;
``ratio`` is the smaller of MFU over 0.5 and 0.03 over the share of waiting for data. Without CUDA it is null, and
``skipped`` says why; ``--device cpu --tiny`` runs the same code with a small encoder, without a ratio: it says nothing
about a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.synthetic import synthetic_store
from workbench.pretrain.config import PretrainConfig
from workbench.pretrain.train import run_pretrain

SCANS = 32
MFU_GOAL, WAIT_GOAL = 0.5, 0.03


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20 steps in place of 100")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a small encoder, crops of 48³ and batches of two")
    parser.add_argument("--preset", choices=["small", "base"], default="base")
    parser.add_argument("--batch", type=int, default=32, help="scans a step")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2))
    parser.add_argument("--compile", action="store_true", help="torch.compile on the blocks")
    args = parser.parse_args(argv)
    name = "gpu_pretrain" + (" (smoke test on the CPU)" if args.device == "cpu" else "")
    if args.device == "cuda" and not torch.cuda.is_available():
        print(
            json.dumps(
                {
                    "name": name,
                    "ours": None,
                    "peer": MFU_GOAL,
                    "ratio": None,
                    "unit": "share of the peak",
                    "n": 0,
                    "skipped": "there is no CUDA device here",
                }
            )
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        result = measure(args, Path(folder))
    print(json.dumps({"name": name, **result, "load_average": round(os.getloadavg()[0], 1)}))


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    scans, steps = (4, 5) if args.tiny else (SCANS, 20 if args.quick else 100)
    store = synthetic_store(folder / "store", max(scans, args.batch if not args.tiny else 2), 4 if args.tiny else 16)
    run = run_pretrain(settings(args, folder / "run", store.path, len(store), steps))
    rows = run.metrics().dropna(subset=["volumes_per_s"]).iloc[max(1, steps // 5) :]
    seconds = 1 / rows["volumes_per_s"]  # of a scan; steps that look at the monitors are in it
    share, wait = rows["mfu"], rows["data_wait"]
    mfu = float((share * seconds).sum() / seconds.sum())
    waited = float((wait * seconds).sum() / seconds.sum())
    profiled(settings(args, folder / "profiled", store.path, len(store), 3 if args.tiny else 12), args.device)
    how = run.provenance["how"]
    ratio = min(mfu / MFU_GOAL, WAIT_GOAL / max(waited, 1e-6))
    return {
        "ours": round(mfu, 4),
        "peer": MFU_GOAL,
        "peer_is": "goal, share of the peak",
        "ratio": round(ratio, 3) if args.device == "cuda" else None,
        "unit": "share of the peak (MFU)",
        "n": len(rows),
        "volumes_per_s": round(len(rows) / float(seconds.sum()), 2),
        "data_wait": round(waited, 4),
        "data_wait_goal": WAIT_GOAL,
        "memory_gb": round(float(rows["memory_gb"].max()), 2),
        "flops_a_step": how["flops_a_step"],
        "peak": how["peak"],
        "compile": args.compile,
        "batch": 2 if args.tiny else args.batch,
        "workers": args.workers,
        "device": torch.cuda.get_device_name() if args.device == "cuda" else "cpu",
    }


def settings(args: argparse.Namespace, out: Path, store: Path, scans: int, steps: int) -> PretrainConfig:
    batch = 2 if args.tiny else args.batch
    encoder = {"preset": "micro", "image_size": 48} if args.tiny else {"preset": args.preset, "image_size": 96}
    heads = {"prototypes_cls": 64, "prototypes_patch": 64, "head_hidden": 64} if args.tiny else {}
    return PretrainConfig.build(
        {
            "out": out,
            "store": store,
            "encoder": {**encoder, "patch": 16},
            "objective": heads,
            "batch_size": batch,
            "epochs": steps * batch / scans,
            "precision": "bf16-mixed",
            "accelerator": args.device,
            "workers": args.workers,
            "compile": args.compile,
            "checkpoint_minutes": 1000.0,
        }
    )


def profiled(config: PretrainConfig, device: str) -> None:
    """The kernels that take longest, the start and the saving at the end included."""
    kinds = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device == "cuda" else [])
    with profile(activities=kinds) as seen:
        run_pretrain(config)
    print(
        seen.key_averages().table(sort_by=f"self_{device}_time_total", row_limit=20, max_name_column_width=60),
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
