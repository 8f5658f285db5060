"""What the settings of pretraining that trade time for memory do, each against the plain setting in the same run.

    python -m benchmarks.settings [--quick]

VolTA, tiny preset, 64³ crops, patch 8 (512 tokens), small heads, 4 scans; forward, backward and AdamW on tensors that
are there already. Each setting has a process of its own, so that the peak of its memory is its own; the settings take
turns and the best step of each counts. The last line on stdout is one JSON object: ``ours`` and ``peer`` are the memory
above what the process has before the first step with and without activation checkpointing, GB; ``settings`` has each
setting's seconds a step and memory as shares of the plain one's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {}, "activation_checkpointing": {"recompute": True}, "accumulate 4": {"parts": 4},
    "bf16-mixed": {"bf16": True}, "compile": {"compile": True}}
SCANS = 4


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one turn of two steps in place of three of four")
    parser.add_argument("--one", choices=SETTINGS, help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, default=2, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.one:
        print(json.dumps(one(**SETTINGS[args.one], steps=args.steps)))
        return
    best: dict[str, dict[str, float]] = {}
    for _ in range(1 if args.quick else 3):
        for name in SETTINGS:
            done = subprocess.run([sys.executable, "-m", "benchmarks.settings", "--one", name, "--steps",
                                   "2" if args.quick else "4"], capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{name}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
                continue
            seen = json.loads(done.stdout.splitlines()[-1])
            best[name] = {k: min(v, best.get(name, seen)[k]) for k, v in seen.items()}
            print(f"{name}: {seen['seconds']:.2f} s a step, {seen['gb']:.2f} GB", file=sys.stderr)
    plain, kept = best["plain"], best["activation_checkpointing"]
    shares = {name: {"time": round(v["seconds"] / plain["seconds"], 2), "memory": round(v["gb"] / plain["gb"], 2)}
              for name, v in best.items()}
    print(json.dumps({"name": "settings", "ours": round(kept["gb"], 3), "peer": round(plain["gb"], 3),
                      "ratio": round(plain["gb"] / kept["gb"], 2), "unit": "GB with activation checkpointing, without",
                      "n": 1 if args.quick else 3, "settings": shares}))


def one(*, recompute: bool = False, parts: int = 1, bf16: bool = False, compile: bool = False,
        steps: int = 2) -> dict[str, float]:
    """Seconds of the best step and peak memory above the start, of one setting."""
    import torch

    from workbench.engine.device import memory_gb
    from workbench.model.config import EncoderConfig
    from workbench.model.vit import Block, Encoder
    from workbench.pretrain.objectives.base import Batch, Moment
    from workbench.pretrain.objectives.volta import VoltaSettings

    torch.manual_seed(0)
    encoder = EncoderConfig(preset="tiny", image_size=64, patch=8, drop_path=0.0)
    objective = VoltaSettings(prototypes_cls=256, prototypes_patch=256, head_hidden=256,
                              head_bottleneck=64).build(encoder)
    for module in objective.modules():
        if isinstance(module, Encoder):
            module.recompute = recompute
        if isinstance(module, Block) and compile:
            module.compile()
    optimiser = torch.optim.AdamW([p for p in objective.parameters() if p.requires_grad])
    scans = SCANS // parts
    clean = torch.randn(2, scans, 1, 64, 64, 64)
    batch = Batch(clean, clean, torch.rand_like(clean) < 0.5)
    cpu = torch.device("cpu")
    before, taken = memory_gb(cpu), []
    for step in range(1 + steps):
        start = time.perf_counter()
        for _ in range(parts):
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                total = objective(batch, Moment(step, 100, 10.0, False)).total
            (total / parts).backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        objective.after_step(Moment(step, 100, 10.0, False))
        taken.append(time.perf_counter() - start)
    return {"seconds": min(taken[1:]), "gb": memory_gb(cpu) - before}


if __name__ == "__main__":
    main()
