"""`cohort` on many tiny files: processor time of a file, and memory.

    python -m benchmarks.cohort [--quick] [--scans 2000 20000]

A BIDS folder of noise in a ball of 20³ voxels, each scan a `.nii.gz` of its own with a `_dseg`, read by one process, so
that its processor time is that of the work; a busy machine makes seconds longer and leaves it as it is. Memory is the
highest resident of that process. The last line on stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

EDGE, SPACING = 20, 8.0
GOAL_MS = 20.0

JOB = """
import json, resource, sys, time
from pathlib import Path
from workbench.cohort import CohortConfig, run_cohort
config = CohortConfig(out=Path(sys.argv[1]), sources=[Path(sys.argv[2])], workers=1)
cpu, began = time.process_time(), time.perf_counter()
run_cohort(config)
used = [time.process_time() - cpu, time.perf_counter() - began]
print(json.dumps([*used, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="60 and 240 scans: shows that it runs, and no more")
    parser.add_argument("--scans", type=int, nargs="+", default=[2_000, 20_000])
    args = parser.parse_args(argv)
    seen: dict[int, dict[str, float]] = {}
    for size in sorted([60, 240] if args.quick else args.scans):
        with tempfile.TemporaryDirectory() as folder:
            seen[size] = measure(Path(folder), size)
        print(f"{size} scans: {seen[size]}", file=sys.stderr)
    print(json.dumps(told(seen)))


def told(seen: dict[int, dict[str, float]]) -> dict[str, Any]:
    smallest, largest = min(seen), max(seen)
    if smallest == largest:
        ms, of = seen[largest]["ms_a_scan"], f"a scan with its labels, of {largest}, imports included"
    else:
        ms = 1000 * (seen[largest]["cpu_s"] - seen[smallest]["cpu_s"]) / (largest - smallest)
        of = f"each further scan with its labels, from {smallest} to {largest}"
    return {
        "name": "cohort",
        "ours": round(ms, 2),
        "unit": f"ms of processor for {of}",
        "against": GOAL_MS,
        "ratio": round(GOAL_MS / ms, 2) if ms > 0 else None,
        "n": len(seen),
        "memory_ratio": round(seen[largest]["mb"] / seen[smallest]["mb"], 2),
        "at": {str(size): one for size, one in seen.items()},
        "load_average": round(os.getloadavg()[0], 1),
    }


def measure(folder: Path, size: int) -> dict[str, float]:
    write_scans(folder / "data", size)
    command = [sys.executable, "-W", "ignore", "-c", JOB, str(folder / "cohort"), str(folder / "data")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    cpu, seconds, highest = json.loads(done.stdout.splitlines()[-1])
    unit = 1024 if sys.platform != "darwin" else 1
    return {
        "cpu_s": round(cpu, 2),
        "seconds": round(seconds, 2),
        "ms_a_scan": round(1000 * cpu / size, 2),
        "mb": round(highest * unit / 1e6, 1),
    }


def write_scans(root: Path, size: int) -> None:
    """A BIDS folder with labels, its people at five sites."""
    import nibabel as nib

    axes = np.stack(np.meshgrid(*[np.arange(EDGE) - EDGE / 2 + 0.5] * 3, indexing="ij"))
    ball = (axes**2).sum(axis=0) < (0.45 * EDGE) ** 2
    affine = np.diag([SPACING, SPACING, SPACING, 1.0])
    affine[:3, 3] = -SPACING * EDGE / 2
    manual = root / "derivatives" / "manual"
    rows = ["participant_id\tsex\tage\tsite"]
    for i in range(size):
        data = np.where(ball, 100 + np.random.default_rng(i).normal(0, 10, ball.shape), 0).astype(np.int16)
        name = f"sub-{i:06d}"
        for folder, suffix, values in ((root, "T1w", data), (manual, "dseg", (ball * (1 + i % 2)).astype(np.uint8))):
            path = folder / name / "anat" / f"{name}_{suffix}.nii.gz"
            path.parent.mkdir(parents=True)
            nib.save(nib.Nifti1Image(values, affine), path)
        rows.append(f"{name}\t{'FM'[i % 2]}\t{20 + i % 60}\tsite{i % 5}")
    (manual / "dseg.tsv").write_text("index\tname\n1\tRight Hippocampus\n2\tLeft Hippocampus\n")
    (root / "participants.tsv").write_text("\n".join(rows) + "\n")
    (root / "dataset_description.json").write_text(json.dumps({"Name": "many", "BIDSVersion": "1.9.0"}))


if __name__ == "__main__":
    main()
