"""What the settings of pretraining that trade time for memory do, each against the plain setting in the same run.

    python -m benchmarks.settings [--quick]

`run_pretrain` itself, data included: VolTA, tiny preset, 64³ crops, patch 8 (512 tokens), small heads, 4 scans a step
of a synthetic store. Each setting has a process of its own, so that the peak of its memory is its own; the settings
take turns and the best step of each counts, the first (compiling, first touch of memory) left out. The last line on
stdout is one JSON object: ``ours`` and ``peer`` are the memory above what the process has before the run with and
without activation checkpointing, GB; ``settings`` has each setting's seconds a step and memory as shares of the plain
one's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.synthetic import synthetic_store

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "activation_checkpointing": {"activation_checkpointing": True},
    "accumulate 4": {"accumulate": 4},
    "bf16-mixed": {"precision": "bf16-mixed"},
    "compile": {"compile": True},
}
SCANS = 4


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one turn of two steps in place of three of four")
    parser.add_argument("--one", choices=SETTINGS, help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, default=2, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.one:
        print(json.dumps(one(args.folder, args.steps, **SETTINGS[args.one])))
        return
    with tempfile.TemporaryDirectory() as folder:
        synthetic_store(Path(folder) / "store", SCANS, SCANS)
        print(json.dumps(compare(Path(folder), 1 if args.quick else 3, 2 if args.quick else 4)))


def compare(folder: Path, turns: int, steps: int) -> dict[str, Any]:
    best: dict[str, dict[str, float]] = {}
    for _ in range(turns):
        for name in SETTINGS:
            done = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "benchmarks.settings",
                    "--one",
                    name,
                    "--steps",
                    str(steps),
                    "--folder",
                    str(folder),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                print(f"{name}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
                continue
            seen = json.loads(done.stdout.splitlines()[-1])
            best[name] = {k: min(v, best.get(name, seen)[k]) for k, v in seen.items()}
            print(f"{name}: {seen['seconds']:.2f} s a step, {seen['gb']:.2f} GB", file=sys.stderr)
    plain, kept = best["plain"], best["activation_checkpointing"]
    shares = {
        name: {"time": round(v["seconds"] / plain["seconds"], 2), "memory": round(v["gb"] / plain["gb"], 2)}
        for name, v in best.items()
    }
    return {
        "name": "settings",
        "ours": round(kept["gb"], 3),
        "peer": round(plain["gb"], 3),
        "ratio": round(plain["gb"] / kept["gb"], 2),
        "unit": "GB with activation checkpointing, without",
        "n": turns,
        "settings": shares,
    }


def one(folder: Path, steps: int, **setting: Any) -> dict[str, float]:
    """Seconds of the best step and peak memory above the start, of one setting."""
    import torch

    from workbench.engine.device import memory_gb
    from workbench.pretrain.config import PretrainConfig
    from workbench.pretrain.train import run_pretrain

    config = PretrainConfig.build(
        {
            "out": tempfile.mkdtemp(dir=folder),
            "store": folder / "store",
            "batch_size": SCANS,
            "workers": 0,
            "epochs": 1.0 + steps,
            "warmup_epochs": 1.0,
            "monitor_every": 1000,
            "accelerator": "cpu",
            "encoder": {"preset": "tiny", "image_size": 64, "patch": 8, "drop_path": 0.0},
            "objective": {"prototypes_cls": 256, "prototypes_patch": 256, "head_hidden": 256, "head_bottleneck": 64},
            **setting,
        }
    )
    before = memory_gb(torch.device("cpu"))
    seen = run_pretrain(config, overwrite=True).metrics()
    return {
        "seconds": float(SCANS / seen["volumes_per_s"].iloc[1:].max()),
        "gb": float(seen["memory_gb"].max()) - before,
    }


if __name__ == "__main__":
    main()
