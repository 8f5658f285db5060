"""What a minute of pretraining teaches: VolTA against its older form and other objectives in the same loop.

    python -m benchmarks.learning [--quick] [--steps N] [--real FOLDERS --real-test FOLDERS]

Every arm has the encoder, views, rate and schedule of `configs/pretrain-cpu.yaml`; only the objective differs. After
``--steps`` optimiser steps `workbench tokens` asks in people whom pretraining never saw: does the token of a
hippocampus find the hippocampus of a person at another site? Simulated people unless ``--real`` names folders to learn
from and ``--real-test`` folders with hippocampus labels at two sites or more. One seed each: an interval is over people
only.

The last line on stdout is one JSON object: ``ours`` and ``peer`` are hits between sites per minute of training for
VolTA by contrast and for the best of the others, ``ratio`` is ours / peer, and 3 is the goal. ``arms`` holds each arm's
hits, those of random weights, and minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from workbench.analysis.config import TokensConfig
from workbench.analysis.tokens.job import run_tokens
from workbench.cohort import CohortConfig, run_cohort
from workbench.prepare import PrepareConfig
from workbench.prepare.prepare import run_prepare
from workbench.prepare.store import open_store
from workbench.pretrain.config import PretrainConfig
from workbench.pretrain.train import run_pretrain
from workbench.runs import read_yaml
from workbench.simulate import SimulateConfig, run_simulate

SETTINGS = Path(__file__).parents[1] / "configs" / "pretrain-cpu.yaml"
HEADS = {"prototypes_cls": 256, "prototypes_patch": 512, "head_hidden": 512, "head_bottleneck": 128, "ema": 0.99}
OURS = "volta"
ARMS: dict[str, dict[str, Any]] = {
    OURS: {},
    "volta, prototypes": {**HEADS, "weight_reconstruction": 3},
    "dino": {**HEADS, "weight_patch": 0, "weight_reconstruction": 0},
    "ibot": {**HEADS, "weight_reconstruction": 0, "patch_tokens": "masked"},
    "mae": {"name": "mae"},
    "simclr": {"name": "simclr"},
}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="60 steps an arm in place of 400, and fewer people")
    parser.add_argument("--steps", type=int, help="optimiser steps of each arm")
    parser.add_argument("--real", nargs="+", type=Path, metavar="FOLDER", help="folders to learn from")
    parser.add_argument("--real-test", nargs="+", type=Path, metavar="FOLDER", help="folders to test on")
    args = parser.parse_args(argv)
    if bool(args.real) != bool(args.real_test):
        parser.error("--real and --real-test go together")
    steps = args.steps or (60 if args.quick else 400)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        people = 24 if args.quick else 48
        learn = args.real or [simulated(root / "learn", people, seed=1)]
        test = args.real_test or [simulated(root / "test", people // 2, seed=2)]
        result = measure(root, prepared(root, "learn", learn), prepared(root, "test", test), steps)
    print(json.dumps({**result, "load_average": round(os.getloadavg()[0], 1), "simulated": not args.real}))


def simulated(out: Path, people: int, seed: int) -> Path:
    return run_simulate(SimulateConfig(out=out, participants=people, seed=seed)).path


def prepared(root: Path, name: str, sources: list[Path]) -> Path:
    """The store of some folders at 2.5 mm."""
    run_cohort(CohortConfig(out=root / f"cohort-{name}", sources=sources))
    return run_prepare(PrepareConfig(out=root / f"store-{name}", cohort=root / f"cohort-{name}", spacing=2.5)).path


def measure(root: Path, learn: Path, test: Path, steps: int) -> dict[str, Any]:
    arms = {}
    for name, objective in ARMS.items():
        arms[name] = arm(root / name.replace(", ", "-"), learn, test, objective, steps)
        print(f"{name}: {arms[name]}", file=sys.stderr)
    speed = {name: told["hit"] / told["minutes"] for name, told in arms.items()}
    best = max((name for name in arms if name != OURS), key=lambda name: speed[name])
    return {
        "name": "learning",
        "ours": round(speed[OURS], 3),
        "peer": round(speed[best], 3),
        "peer_is": best,
        "ratio": round(speed[OURS] / max(speed[best], 1e-6), 2),
        "unit": "hits between sites per minute of training",
        "n": arms[OURS]["people"],
        "goal": 3,
        "steps": steps,
        "arms": arms,
    }


def arm(out: Path, learn: Path, test: Path, objective: dict[str, Any], steps: int) -> dict[str, Any]:
    """Train one arm and ask the unseen people."""
    shared = read_yaml(SETTINGS)
    chosen = objective or shared["objective"]
    epochs = steps * shared["batch_size"] / len(open_store(learn))
    config = PretrainConfig.build(
        {**shared, "out": out, "store": learn, "objective": chosen, "epochs": epochs, "warmup_epochs": epochs / 10}
    )
    began = time.perf_counter()
    run_pretrain(config)
    minutes = (time.perf_counter() - began) / 60
    run = run_tokens(TokensConfig(out=out / "tokens", store=test, encoder=out, rgb=False))
    short = run.read_table("in_short").set_index(["weights", "sites"])
    between, random = short.loc[("pretrained", "between")], short.loc[("random beside", "between")]
    return {
        "hit": round(float(between["hit"]), 3),
        "low": round(float(between["hit_low"]), 3),
        "high": round(float(between["hit_high"]), 3),
        "random": round(float(random["hit"]), 3),
        "distance_mm": round(float(between["distance_mm"]), 1),
        "people": int(between["people"]),
        "minutes": round(minutes, 2),
    }


if __name__ == "__main__":
    main()
