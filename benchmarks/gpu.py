"""Everything that was never seen on a GPU, in one go and one JSON file: for whoever has one at hand.

    python -m benchmarks.gpu [--out build/gpu.json] [--device cpu --tiny]

- `pretrain`: the real job at ViT-S/16 and ViT-B/16, and ViT-B/16 compiled: share of the peak, waiting, memory;
- `views`: two views of 96³ made on the device, and that they are those of the CPU;
- `precision`: time and memory of a forward and backward pass in float32 and bf16, and how far the outputs are apart;
- `attention`: memory of a CLS row beside a fused pass at 128³ / 8, as the device's allocator counts it;
- `fsdp`: an encoder sharded over the one device, as `--strategy fsdp` does it: that its loss and gradients are those of
  one that is not, time and memory beside it (one device saves nothing, and two were not asked for);
- `resume`: a pretraining stopped half way and continued ends in the weights of one that was not, up to rounding.

Each part is a process with a limit of time, so that one that fails costs itself alone: what it said is in the file.
``--device cpu --tiny`` takes the same way through the code on a small encoder, and says nothing about a GPU. The
encoder in the box anew is no part of it: `make encoder`, with its data.

The last line on stdout is one JSON object: ``ours`` parts of ``n`` ended well, and where the file is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

LIMIT = 420  # seconds a part
PRETRAIN = {
    "pretrain, ViT-S/16": ["--preset", "small"],
    "pretrain, ViT-B/16": [],
    "pretrain, ViT-B/16, compiled": ["--compile"],
}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/gpu.json"))
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small encoders and volumes")
    parser.add_argument("--part", help="do this part here, and print what it gives")
    args = parser.parse_args(argv)
    if args.part:
        print(json.dumps(PARTS[args.part](torch.device(args.device), args.tiny)))
        return
    if args.device == "cuda" and not torch.cuda.is_available():
        print(
            json.dumps({"name": "gpu", "ours": None, "n": 0, "ratio": None, "skipped": "there is no CUDA device here"})
        )
        return
    how = ["--device", args.device, *(["--tiny"] if args.tiny else [])]
    commands = {name: ["benchmarks.gpu_pretrain", "--quick", *more, *how] for name, more in PRETRAIN.items()}
    commands |= {name: ["benchmarks.gpu", "--part", name, *how] for name in PARTS}
    found: dict[str, Any] = {}
    for name, words in commands.items():
        found[name] = part(words)
        print(f"{name}: {found[name]}", file=sys.stderr)
    well = sum("error" not in one for one in found.values())
    args.out.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "device": torch.cuda.get_device_name() if args.device == "cuda" else "cpu",
        "torch": torch.__version__,
        "tiny": args.tiny,
        "load_average": round(os.getloadavg()[0], 1),
    }
    args.out.write_text(json.dumps({**about, "parts": found}, indent=1) + "\n")
    print(
        json.dumps(
            {
                "name": "gpu",
                "ours": well,
                "unit": "parts that ended well",
                "n": len(found),
                "ratio": None,
                **about,
                "file": str(args.out),
            }
        )
    )


def part(words: list[str]) -> dict[str, Any]:
    """What the last line of a module says, with its seconds; or how it failed."""
    began = time.perf_counter()
    try:
        done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {LIMIT} s"}
    seconds = round(time.perf_counter() - began, 1)
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1:] or done.returncode, "seconds": seconds}
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return {**result, "seconds": seconds}


def timed(work: Callable[[], Any], device: torch.device, times: int) -> float:
    """Median seconds, the device's own work included."""
    work()
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))


def peak_mb(work: Callable[[], Any], device: torch.device) -> float | None:
    """Most memory of the device during ``work``; None on a CPU, which is not asked."""
    if device.type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    return round(torch.cuda.max_memory_allocated() / 1e6, 1)


def views(device: torch.device, tiny: bool) -> dict[str, Any]:
    from benchmarks.synthetic import synthetic_store
    from workbench.pretrain.config import PretrainConfig
    from workbench.pretrain.data import MicroBatches, on_device

    scans, edge = (2, 48) if tiny else (8, 96)
    with tempfile.TemporaryDirectory() as folder:
        store = synthetic_store(Path(folder) / "store", scans, scans)
        config = PretrainConfig.build(
            {
                "out": Path(folder) / "no-run",
                "store": store.path,
                "batch_size": scans,
                "encoder": {"preset": "micro", "image_size": edge, "patch": 16},
            }
        )
        batches = MicroBatches(store, np.arange(scans, dtype=np.int32), config, size=scans)
        raw = batches[0]
        here, there = (on_device(raw, config, place) for place in (torch.device("cpu"), device))
        apart = float((here.clean - there.clean.cpu()).abs().max())
        seconds = timed(lambda: on_device(raw, config, device), device, 3 if tiny else 20)
    return {"samples_per_s": round(scans / seconds, 2), "edge": edge, "largest_difference_from_cpu": apart, "n": scans}


def network(tiny: bool, edge: int, patch: int, device: torch.device) -> tuple[Any, torch.Tensor]:
    from workbench.model.config import EncoderConfig
    from workbench.model.vit import Encoder

    torch.manual_seed(0)
    config = EncoderConfig.model_validate(
        {"preset": "micro" if tiny else "base", "image_size": edge, "patch": patch, "drop_path": 0.0}
    )
    return Encoder(config).to(device), torch.randn(1, 1, edge, edge, edge, device=device)


def precision(device: torch.device, tiny: bool) -> dict[str, Any]:
    encoder, volume = network(tiny, 48 if tiny else 96, 16, device)
    out: dict[str, Any] = {}
    kept: dict[str, torch.Tensor] = {}
    for name, on in (("float32", False), ("bf16", True)):

        def step(on: bool = on, name: str = name) -> None:
            with torch.autocast(device.type, torch.bfloat16, enabled=on):
                cls = encoder(volume).cls_BD
            cls.float().square().mean().backward()
            encoder.zero_grad()
            kept[name] = cls.detach().float()

        out[f"{name}_s"] = round(timed(step, device, 3 if tiny else 10), 4)
        out[f"{name}_peak_mb"] = peak_mb(step, device)
    cosine = torch.nn.functional.cosine_similarity(kept["float32"], kept["bf16"])
    return {**out, "cosine_of_cls": round(float(cosine.min()), 5)}


@torch.no_grad()
def attention(device: torch.device, tiny: bool) -> dict[str, Any]:
    from workbench.model.attention import look, one_token, token_count

    encoder, volume = network(tiny, 48 if tiny else 128, 8, device)
    encoder.eval()
    cls = one_token(0, token_count(encoder, volume))[None].to(device)
    return {
        "plain_peak_mb": peak_mb(lambda: encoder(volume), device),
        "row_peak_mb": peak_mb(lambda: look(encoder, volume, cls), device),
        "plain_s": round(timed(lambda: encoder(volume), device, 5), 4),
        "row_s": round(timed(lambda: look(encoder, volume, cls), device, 5), 4),
    }


def fsdp(device: torch.device, tiny: bool) -> dict[str, Any]:
    from lightning_fabric.plugins.environments.lightning import find_free_network_port
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor

    from workbench.pretrain.devices import shard

    here = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(find_free_network_port()), "RANK": "0", "WORLD_SIZE": "1"}
    os.environ.update(here)
    out: dict[str, Any] = {}
    kept: dict[str, tuple[float, float]] = {}
    for name in ("plain", "sharded"):
        encoder, volume = network(tiny, 48 if tiny else 96, 16, device)
        if name == "sharded":
            shard(torch.nn.Sequential(encoder), init_device_mesh(device.type, (1,), mesh_dim_names=("data_parallel",)))

        def step(encoder: Any = encoder, volume: torch.Tensor = volume, name: str = name) -> None:
            encoder.zero_grad()
            loss = encoder(volume).cls_BD.float().square().mean()
            loss.backward()
            grads = [p.grad.full_tensor() if isinstance(p.grad, DTensor) else p.grad for p in encoder.parameters()]
            kept[name] = float(loss), float(torch.stack([g.norm() for g in grads if g is not None]).norm())

        out[f"{name}_s"] = round(timed(step, device, 3 if tiny else 10), 4)
        out[f"{name}_peak_mb"] = peak_mb(step, device)
        del encoder
    torch.distributed.destroy_process_group()
    (loss, gradient), (other_loss, other_gradient) = kept["plain"], kept["sharded"]
    return {
        **out,
        "loss_apart": abs(loss - other_loss) / abs(loss),
        "gradient_apart": abs(gradient - other_gradient) / gradient,
    }


def resume(device: torch.device, tiny: bool) -> dict[str, Any]:
    """Stopped by its own epochs' end would be no stop: the checkpoint of the half is taken as the run's last."""
    import shutil

    from benchmarks.synthetic import synthetic_store
    from workbench.model.export import load_encoder
    from workbench.pretrain.config import PretrainConfig
    from workbench.pretrain.train import run_pretrain

    with tempfile.TemporaryDirectory() as folder:
        store = synthetic_store(Path(folder) / "store", 4, 4)

        def run(name: str) -> Any:
            settings = {
                "out": Path(folder) / name,
                "store": store.path,
                "batch_size": 2,
                "epochs": 3,
                "encoder": {"preset": "micro", "image_size": 48, "patch": 16},
                "objective": {"head_hidden": 64},
                "accelerator": device.type,
                "checkpoint_minutes": 0.0,
                "workers": 0,
            }
            return run_pretrain(PretrainConfig.build(settings))

        whole = run("whole")
        shutil.copytree(whole.path, Path(folder) / "again")
        again = Path(folder) / "again"
        steps = sorted((again / "checkpoints").glob("step-*"))
        for late in steps[1:]:
            shutil.rmtree(late)
        (again / "status.json").write_text(json.dumps({"state": "interrupted"}))
        continued = run("again")
        pairs = [load_encoder(one.path)[0].state_dict() for one in (whole, continued)]
        apart = max(float((pairs[0][name] - pairs[1][name]).abs().max()) for name in pairs[0])
    return {"largest_difference_of_weights": apart, "checkpoints": len(steps)}


PARTS: dict[str, Callable[[torch.device, bool], dict[str, Any]]] = {
    "views": views,
    "precision": precision,
    "attention": attention,
    "fsdp": fsdp,
    "resume": resume,
}

if __name__ == "__main__":
    main()
