"""Feeding a training: two-view samples a second, and crops a second, against MONAI in the same process.

    python -m benchmarks.loader [--quick]

Part one. A sample is one scan turned into two augmented views of 96³. Eight simulated brain boxes at 1 mm, about
140 x 170 x 140 voxels: ours lie in a prepared store on disk and go through `MicroBatches` and `on_device` in
micro-batches of four, MONAI's lie in memory in a `CacheDataset` with the same kinds of random transforms. No masks on
either side. Both have the same process and the same number of threads. Goal: 8 times.

Part two. A random crop of 96³: from the prepared store, or from the ``.nii.gz`` through MONAI's chain (load, channel
first, RAS, 1 mm, foreground, z-score, crop). Real scans where they are there, else phantoms of 176 x 208 x 176. Goal:
300 times.

Ours and MONAI's take turns, so that other work on the machine slows both alike. The last line on stdout is one JSON
object: ``ours`` and ``peer`` are samples a second of part one, ``ratio`` theirs, ``crop_ratio`` that of part two.
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

import numpy as np
import torch

from benchmarks.monai_views import cached_views
from benchmarks.prepare import find_sources, make_sources
from benchmarks.synthetic import store_of, synthetic_store
from workbench.prepare import PrepareConfig
from workbench.prepare.scan import prepare_scan, scan_file
from workbench.pretrain.config import MaskSettings, PretrainConfig
from workbench.pretrain.data import MicroBatches, on_device

SIZE, SCANS, BATCH = 96, 8, 4
CROPS = 100  # of ours for one of MONAI's: a single one is too short for the clock


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer turns")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads of both")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        result = views(Path(folder), 6 if args.quick else 20)
        crops = random_crops(Path(folder), 3 if args.quick else 8)
    print(
        json.dumps(
            {"name": "loader", **result, **crops, "threads": args.threads, "load_average": round(os.getloadavg()[0], 1)}
        )
    )


def views(folder: Path, turns: int) -> dict[str, Any]:
    """Two-view samples a second."""
    config = PretrainConfig(
        out=folder / "no_run", store=folder / "store", batch_size=BATCH, seed=1, mask=MaskSettings(ratio=0.0)
    )
    assert config.encoder.size_xyz == (SIZE,) * 3
    store = synthetic_store(folder / "store", SCANS, SCANS)
    batches = MicroBatches(store, np.arange(SCANS, dtype=np.int32), config, size=BATCH)
    peer = cached_views([store.read(i) for i in range(SCANS)], SIZE, config.views)

    def ours(turn: int) -> float:
        start = time.perf_counter()
        batch = on_device(batches[turn], config, torch.device("cpu"))
        seconds = time.perf_counter() - start
        assert batch.clean.shape == (2, BATCH, 1, SIZE, SIZE, SIZE)
        return seconds

    def monai(turn: int) -> float:
        start = time.perf_counter()
        views = [peer[(turn * BATCH + i) % SCANS]["image"] for _ in range(2) for i in range(BATCH)]
        batch = torch.stack(views)
        seconds = time.perf_counter() - start
        assert batch.shape == (2 * BATCH, 1, SIZE, SIZE, SIZE)
        return seconds

    for warm_up in (ours, monai):
        warm_up(0)
    seconds = np.array([(ours(t), monai(t)) for t in range(1, turns + 1)])  # (turns, 2)
    print(
        f"two views of a scan: ours {_spread(seconds[:, 0] / BATCH)}, MONAI {_spread(seconds[:, 1] / BATCH)}",
        file=sys.stderr,
    )
    rates = BATCH * turns / seconds.sum(axis=0)
    return {
        "ours": round(rates[0], 2),
        "peer": round(rates[1], 3),
        "ratio": round(rates[0] / rates[1], 2),
        "unit": f"two-view samples/s of {SIZE}³",
        "n": BATCH * turns,
        "goal": 8,
    }


def random_crops(folder: Path, scans: int) -> dict[str, Any]:
    """Random crops a second, of the same scans: prepared, and as they came."""
    from monai import transforms as mt

    # the phantoms of other benchmarks are as large as real scans, so the crop fits either
    sources = find_sources(max(1, scans // 3))[:scans] or make_sources(folder, scans)
    prepared = PrepareConfig(out=folder / "made", cohort=folder, spacing=1.0)
    (folder / "made").mkdir()
    boxes = {}
    for source in sources:
        outcome = prepare_scan(source, prepared, folder / "made")
        assert outcome.sidecar, outcome.cause
        boxes[source.scan_id] = np.load(scan_file(folder / "made", source.scan_id))
    store = store_of(folder / "crops", boxes)
    chain = mt.Compose(
        [
            mt.LoadImage(),
            mt.EnsureChannelFirst(),
            mt.Orientation("RAS", labels=None),
            mt.Spacing((1.0, 1.0, 1.0)),
            mt.CropForeground(),
            mt.NormalizeIntensity(nonzero=True),
            mt.RandSpatialCrop((SIZE,) * 3, random_size=False),
        ]
    )
    rng = np.random.default_rng(0)

    def ours(scan: str) -> float:
        start = time.perf_counter()
        for _ in range(CROPS):
            low = rng.integers(0, np.maximum(np.array(store.shape(scan)) - SIZE, 0) + 1)
            crop = store.read(scan, low, low + SIZE)
        seconds = time.perf_counter() - start
        assert crop.shape == (SIZE,) * 3
        return seconds / CROPS

    def monai(path: str) -> float:
        start = time.perf_counter()
        crop = chain(path)
        seconds = time.perf_counter() - start
        assert crop.shape == (1, SIZE, SIZE, SIZE)
        return seconds

    ours(sources[0].scan_id)
    monai(sources[0].path)
    seconds = np.array([(ours(s.scan_id), monai(s.path)) for s in sources])
    print(f"a crop: ours {_spread(seconds[:, 0])}, MONAI from .nii.gz {_spread(seconds[:, 1])}", file=sys.stderr)
    each = seconds.mean(axis=0)
    return {
        "crop_ours": round(1 / each[0], 1),
        "crop_peer": round(1 / each[1], 3),
        "crop_ratio": round(each[1] / each[0], 1),
        "crop_unit": f"crops/s of {SIZE}³",
        "crop_n": len(sources),
        "crop_goal": 300,
    }


def _spread(seconds: np.ndarray) -> str:
    return f"{seconds.mean() * 1e3:.2f} ms ({seconds.min() * 1e3:.2f} to {seconds.max() * 1e3:.2f})"


if __name__ == "__main__":
    main()
