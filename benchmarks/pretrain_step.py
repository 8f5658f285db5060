"""One optimiser step of VolTA on the CPU, data included, against the same written with MONAI.

    python -m benchmarks.pretrain_step [--quick]

The tiny encoder (192/12/3) on two views of 96³ at patch 16 of two scans a step, all cores: VolTA as it is by default
(tokens by contrast in the same and the other view, CLS that says where its view lies) and by prototypes (heads of
8192); each in float32 and with both sides under bf16 autocast (a processor without AVX512-BF16 or AMX is slow at that).
Ours: views from a prepared store on disk (`MicroBatches`, `on_device`), the VolTA objective, AdamW, EMA. MONAI: views
from a `CacheDataset` in memory, MONAI's ViT for student and teacher, the losses as in the papers, AdamW, EMA; the
heads, the masks and the loss of the contrast are ours there too. Simulated brain boxes at 1 mm of about
140 x 170 x 140 voxels.

Both take turns, so that other work on the machine slows both alike. The last line on stdout is one JSON object;
``ours`` and ``peer`` are seconds a step (the median) by contrast in the precision with the smaller ``ratio``; 2 is the
goal, of prototypes 1.5.
``data_*`` and ``model_*`` are the parts: reading and views, and forward and backward.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.monai_views import cached_views
from benchmarks.monai_volta import PeerContrast, PeerVolta
from benchmarks.synthetic import synthetic_store
from workbench.engine.device import arithmetic
from workbench.engine.streams import Purpose, stream
from workbench.model.config import EncoderConfig
from workbench.pretrain.config import PretrainConfig
from workbench.pretrain.data import MicroBatches, on_device
from workbench.pretrain.masking import corrupt, draw_mask, to_voxels
from workbench.pretrain.objectives.base import StepInfo
from workbench.pretrain.objectives.volta_settings import VoltaSettings
from workbench.pretrain.optimiser import adamw

CPU = torch.device("cpu")
SCANS, BATCH, STEPS = 8, 2, 1000
RATE, CLIP, TAU, EMA = 1e-5, 3.0, 0.04, 0.9995
OBJECTIVES = {
    "contrast": VoltaSettings(),
    "prototypes": VoltaSettings(alignment_cls="prototypes", alignment_patch="prototypes", weight_cross=0),
}
Step = Callable[[int], tuple[float, float, float]]  # seconds of the data, of forward and backward, of the whole


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer steps")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads of both")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), 6 if args.quick else 20)
    print(json.dumps({**result, "threads": args.threads, "load_average": round(os.getloadavg()[0], 1)}))


def measure(folder: Path, steps: int) -> dict[str, Any]:
    store = synthetic_store(folder / "store", SCANS, SCANS)
    volumes = [store.read(i) for i in range(SCANS)]
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, settings in OBJECTIVES.items():
        config = PretrainConfig(
            out=folder / "no_run",
            store=folder / "store",
            batch_size=BATCH,
            seed=1,
            encoder=EncoderConfig(preset="tiny", registers=0),  # MONAI's ViT has no registers
            objective=settings,
        )
        batches = MicroBatches(store, np.arange(SCANS, dtype=np.int32), config, size=BATCH)
        found[name] = {}
        for kind, precision in (("float32", "32-true"), ("bf16", "bf16-mixed")):
            ours, peer = our_step(config, batches, precision), peer_step(config, volumes, precision)
            found[name][kind] = in_turns(ours, peer, steps, f"{name}, {precision}")
    worst = min(found["contrast"].values(), key=lambda result: result["ratio"])
    return {
        "name": "pretrain_step",
        "ours": worst["ours"],
        "peer": worst["peer"],
        "ratio": worst["ratio"],
        "unit": f"s a step of {BATCH} scans",
        "n": steps,
        "goal": 2,
        **found,
    }


def in_turns(ours: Step, peer: Step, steps: int, told: str) -> dict[str, float]:
    sides = {"ours": ours, "peer": peer}
    taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in sides}
    for n in range(steps + 1):  # the first warms up
        for name in sides if n % 2 else reversed(sides):
            seconds = sides[name](n)
            if n:
                taken[name].append(seconds)
    out: dict[str, float] = {}
    for name, rows in taken.items():
        data, model, whole = np.median(rows, axis=0)
        out |= {name: round(whole, 3), f"data_{name}": round(data, 3), f"model_{name}": round(model, 3)}
        print(
            f"{told}, {name}: {whole:.2f} s a step: data {data:.2f} s, forward and backward {model:.2f} s, "
            f"optimiser and EMA {whole - data - model:.2f} s",
            file=sys.stderr,
        )
    return out | {f"{part}ratio": round(out[f"{part}peer"] / out[f"{part}ours"], 2) for part in ("", "data_", "model_")}


def our_step(config: PretrainConfig, batches: MicroBatches, precision: str) -> Step:
    objective = config.objective.build(config.encoder)
    optimiser = adamw(objective)
    for group in optimiser.param_groups:
        group["lr"] = RATE

    def step(n: int) -> tuple[float, float, float]:
        now = StepInfo(n, STEPS, SCANS / BATCH, monitored=False)
        start = time.perf_counter()
        batch = on_device(batches[n], config, CPU)
        ready = time.perf_counter()
        with arithmetic(CPU, precision):
            loss = objective(batch, now).total
        loss.backward()
        done = time.perf_counter()
        objective.before_step(now)
        finish(objective, optimiser)
        objective.after_step(now)
        assert np.isfinite(float(loss.detach()))
        return ready - start, done - ready, time.perf_counter() - start

    return step


def peer_step(config: PretrainConfig, volumes: list[np.ndarray], precision: str) -> Step:
    settings = config.objective
    assert isinstance(settings, VoltaSettings)
    size, patch = config.encoder.size_xyz, config.encoder.patch_xyz
    kind = PeerContrast if settings.alignment_patch == "contrast" else PeerVolta
    model, dataset = kind(config.encoder, settings), cached_views(volumes, size[0], config.views)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=RATE)

    def data(n: int) -> tuple[Tensor, Tensor, Tensor]:
        scans = [(n * BATCH + i) % SCANS for i in range(BATCH)]
        clean = torch.stack([torch.as_tensor(dataset[i]["image"]) for _ in range(2) for i in scans])
        places = range(len(clean))
        cells = [draw_mask(stream(1, Purpose.MASKS, n, i), config.mask, config.mask_ratio, size, patch) for i in places]
        masks = to_voxels(torch.from_numpy(np.stack(cells)), size)
        return clean, corrupt(clean, masks, config.mask.fill, [n * len(places) + i for i in places]), masks

    def step(n: int) -> tuple[float, float, float]:
        start = time.perf_counter()
        clean, corrupted, masks = data(n)
        ready = time.perf_counter()
        with arithmetic(CPU, precision):
            loss = model(clean, corrupted, masks, TAU)
        loss.backward()
        done = time.perf_counter()
        finish(model, optimiser)
        model.move_teacher(EMA)
        assert np.isfinite(float(loss.detach()))
        return ready - start, done - ready, time.perf_counter() - start

    return step


def finish(model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], CLIP)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)


if __name__ == "__main__":
    main()
