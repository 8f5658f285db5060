"""What a large cohort costs: 100 scans against 100,000.

    python -m benchmarks.growth [--quick]

Prepared stores whose scans are hard links to the same eight simulated brain boxes at 1 mm (about 140 x 170 x 140), so
that only the manifest grows. Each figure is from a process of its own that opens the store and reads micro-batches (two
scans, two views of 96³, order and masks drawn, no resampling: that part does not know the cohort), as a data-loading
process does. The sizes take turns and the best of a few processes counts, for time and for memory.

The last line on stdout is one JSON object. ``ratio`` is the smaller of two: seconds a step at 100 over that at 100,000,
and resident memory (VmRSS) at 100 over that at 100,000; 0.9 is the goal. Beside them: seconds to open the large store
(limit 2), bytes a scan that its index holds (limit 200), and the memory of the process that trains, which looks at the
whole manifest once.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SMALL, LARGE = 100, 100_000
BATCH = 2


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two processes of each size in place of eight")
    parser.add_argument("--child", type=Path, help="measure this store and print what it takes")
    parser.add_argument("--steps", type=int, default=60, help="micro-batches a process reads")
    args = parser.parse_args(argv)
    if args.child:
        print(json.dumps(look(args.child, args.steps)))
        return
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), 2 if args.quick else 8, args.steps)
    print(json.dumps({**result, "load_average": round(os.getloadavg()[0], 1)}))


def measure(folder: Path, times: int, steps: int) -> dict[str, Any]:
    from benchmarks.synthetic import synthetic_store

    stores = {size: folder / f"store{size}" for size in (SMALL, LARGE)}
    for size, path in stores.items():
        synthetic_store(path, size)
    best: dict[int, dict[str, float]] = {}
    for turn in range(times):
        for size in (SMALL, LARGE) if turn % 2 else (LARGE, SMALL):
            command = [sys.executable, "-m", "benchmarks.growth", "--child", str(stores[size]), "--steps", str(steps)]
            seen = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(f"{size} scans: {seen}", file=sys.stderr)
            best[size] = {name: min(value, best.get(size, seen)[name]) for name, value in seen.items()}
    small, large = best[SMALL], best[LARGE]
    ratios = {name: small[name] / large[name] for name in ("step_s", "memory_mb", "training_memory_mb")}
    kind = min(("step_s", "memory_mb"), key=ratios.__getitem__)
    return {
        "name": f"growth, {SMALL} to {LARGE} scans",
        "ours": large[kind],
        "peer": small[kind],
        "peer_is": f"the same with {SMALL} scans",
        "ratio": round(ratios[kind], 3),
        "unit": {"step_s": "s a step of reading", "memory_mb": "MB resident"}[kind],
        "n": times,
        "goal": 0.9,
        **{f"{name}_ratio": round(value, 3) for name, value in ratios.items()},
        "open_s": large["open_s"],
        "open_limit_s": 2,
        "bytes_a_scan": round((large["index_bytes"] - small["index_bytes"]) / (LARGE - SMALL), 1),
        "bytes_limit": 200,
        "small": small,
        "large": large,
    }


def look(path: Path, steps: int) -> dict[str, float]:
    """In a process of its own: open, read, and say what it took."""
    import numpy as np
    import torch

    from workbench.prepare.store import open_store
    from workbench.pretrain.config import PretrainConfig
    from workbench.pretrain.data import MicroBatches
    from workbench.pretrain.train import training_scans

    torch.set_num_threads(1)
    config = PretrainConfig(out=path / "no_run", store=path, batch_size=BATCH)
    start = time.perf_counter()
    store = open_store(path)
    opened = time.perf_counter() - start
    batches = MicroBatches(store, np.arange(len(store), dtype=np.int32), config, size=BATCH)
    index = len(pickle.dumps(batches))  # what each data-loading process is sent, and keeps
    start = time.perf_counter()
    for n in range(steps):
        batches[n]
    seconds = (time.perf_counter() - start) / steps
    gc.collect()
    memory = resident_mb()
    batches = MicroBatches(store, training_scans(store, None)[0], config, size=BATCH)
    batches[steps]
    gc.collect()
    return {
        "open_s": round(opened, 3),
        "step_s": round(seconds, 5),
        "memory_mb": round(memory, 1),
        "index_bytes": index,
        "training_memory_mb": round(resident_mb(), 1),
    }


def resident_mb() -> float:
    line = next(text for text in Path("/proc/self/status").read_text().splitlines() if text.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
