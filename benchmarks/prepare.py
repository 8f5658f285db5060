"""Preparing scans, one process: the workbench against the same job as a chain of MONAI's dictionary transforms.

    python -m benchmarks.prepare [--quick]

Both read the same files (image and, where there is one, segmentation) and write the brain box at 1 mm, clipped and
z-scored, as float16 .npy. They take turns, scan by scan, so that other work on the machine slows both alike. The last
line on stdout is one JSON object; ``ours`` and ``peer`` are scans per second.
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

from workbench.prepare import PrepareConfig
from workbench.prepare.scan import ScanFiles, prepare_scan

SPACING = 1.0
CLIP = 99.9


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two scans of each data set in place of six")
    quick = parser.parse_args(argv).quick
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        sources = find_sources(2 if quick else 6) or make_sources(Path(folder), 2 if quick else 8)
        result = measure(sources, Path(folder))
    print(json.dumps(result))


def measure(sources: list[ScanFiles], folder: Path) -> dict[str, Any]:
    config = PrepareConfig(out=folder, cohort=folder, spacing=SPACING, clip_percentile=CLIP)
    (folder / "ours").mkdir()
    (folder / "peer").mkdir()
    peer = monai_chain(folder / "peer")

    def ours(source: ScanFiles) -> None:
        outcome = prepare_scan(source, config, folder / "ours")
        assert outcome.sidecar, outcome.cause

    first = sources[0]
    prepare_scan(ScanFiles("warm_up", first.path, first.seg_path), config, folder / "ours")
    peer(ScanFiles("warm_up", first.path, first.seg_path))
    seconds = {"ours": 0.0, "peer": 0.0}
    for n, source in enumerate(sources):
        turns: list[tuple[str, Callable[[ScanFiles], None]]] = [("ours", ours), ("peer", peer)]
        taken = {name: timed(work, source) for name, work in (turns if n % 2 == 0 else turns[::-1])}
        for name in seconds:
            seconds[name] += taken[name]
        print(
            f"{source.scan_id}: ours {taken['ours']:.2f} s {shape(folder / 'ours', source)}, "
            f"MONAI {taken['peer']:.2f} s {shape(folder / 'peer', source)}",
            file=sys.stderr,
        )
    rates = {name: len(sources) / s for name, s in seconds.items()}
    return {
        "name": "prepare",
        "ours": round(rates["ours"], 3),
        "peer": round(rates["peer"], 3),
        "ratio": round(rates["ours"] / rates["peer"], 2),
        "unit": "scans/s, one process",
        "n": len(sources),
    }


def timed(work: Callable[[ScanFiles], None], source: ScanFiles) -> float:
    start = time.perf_counter()
    work(source)
    return time.perf_counter() - start


def shape(folder: Path, source: ScanFiles) -> tuple[int, ...]:
    return np.load(folder / f"{source.scan_id}.npy", mmap_mode="r").shape


def monai_chain(folder: Path) -> Callable[[ScanFiles], None]:
    """The chain a MONAI user would write for this job."""
    from monai import transforms as mt

    def chain(keys: list[str]) -> mt.Compose:
        modes = tuple({"image": "bilinear", "seg": "nearest"}[k] for k in keys)
        return mt.Compose(
            [
                mt.LoadImaged(keys),
                mt.EnsureChannelFirstd(keys),
                mt.Orientationd(keys, axcodes="RAS", labels=None),
                mt.Spacingd(keys, pixdim=(SPACING,) * 3, mode=modes),
                mt.CropForegroundd(keys, source_key="image", margin=2),
                mt.ClipIntensityPercentilesd("image", 100 - CLIP, CLIP),
                mt.NormalizeIntensityd("image", nonzero=True),
            ]
        )

    chains = {True: chain(["image", "seg"]), False: chain(["image"])}

    def prepare(source: ScanFiles) -> None:
        files = {"image": source.path} | ({"seg": source.seg_path} if source.seg_path else {})
        done = chains["seg" in files](files)
        np.save(folder / f"{source.scan_id}.npy", done["image"][0].numpy().astype(np.float16))
        if "seg" in files:
            np.save(folder / f"{source.scan_id}.seg.npy", done["seg"][0].numpy().astype(np.int16))

    return prepare


def find_sources(each: int) -> list[ScanFiles]:
    """The first scans of every BIDS folder of the real data, or nothing where there are none."""
    root = Path(os.environ.get("WORKBENCH_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    sources = []
    for dataset in ("oasis1", "ixi", "ds002748", "fcp"):
        for file in sorted((root / dataset).glob("sub-*/**/anat/*_T1w.nii.gz"))[:each]:
            inside = str(file.relative_to(root / dataset)).replace("_T1w.nii.gz", "_dseg.nii.gz")
            seg = next((root / dataset / "derivatives").glob(f"*/{inside}"), None)
            scan_id = f"{dataset}_{file.name.removesuffix('.nii.gz')}"
            sources.append(ScanFiles(scan_id, str(file), str(seg) if seg else None))
    return sources


def make_sources(folder: Path, n: int) -> list[ScanFiles]:
    """Phantoms of the size of real scans, in several orientations."""
    from workbench.testing import phantom, phantom_labels
    from workbench.volumes import Volume, write_volume

    sources = []
    for i in range(n):
        scan = phantom(("LAS", "PSR", "RAS")[i % 3], spacing=(0.3, 0.3, 0.3), shape=(176, 208, 176), noise=5, seed=i)
        labels = phantom_labels(scan.grid)
        affine = scan.affine @ np.diag([1 / 0.27, 1 / 0.27, 1 / 0.27, 1])  # the small head at the size of a real one
        image = write_volume(folder / f"phantom{i}_T1w.nii.gz", Volume(scan.data, affine))
        seg = write_volume(folder / f"phantom{i}_dseg.nii.gz", Volume(labels.data, affine))
        sources.append(ScanFiles(f"phantom{i}", str(image), str(seg)))
    return sources


if __name__ == "__main__":
    main()
