"""From a table of scans to the explorer at 1,000, 10,000 and 100,000 scans: processor time and memory of each step.

    python -m benchmarks.scale [--quick] [--scans 1000 10000 100000] [--executor local] [--work FOLDER]

The scans are simulated and tiny (noise in a ball of 20³ voxels of 8 mm, each its own file), and so is the encoder
(random weights, patches of 8, 3 blocks): what is measured is what the workbench adds to a scan, not the reading of real
ones. Each step is a process of its own: `cohort`, `prepare`, `embed`, `shift` through the command line, and the state
and the layout of the explorer's first page, for a first session and a second one in the same server. Memory is the
highest resident of the process and of any of its children, each by itself. Steps are judged by the processor time of
all of these together, which others on the machine lengthen little; `seconds` is what the clock says.

With `--work` the scans and runs stay in a folder, so that one step can be measured again (`--steps shift`) on what the
others left there, at one size.

The last line on stdout is one JSON object: for each step its seconds and MB at each size, the processor time that a
thousand more scans cost (the slope of the line through the sizes, which the largest rules), and how memory grew from
the smallest size to the largest.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

SIZES = (1_000, 10_000, 100_000)
EDGE, SPACING = 20, 8.0
SITES = 5
STEPS = ("cohort", "prepare", "embed", "shift", "explorer")

EXPLORER = """
import json, sys, time
import panel as pn
from workbench.explorer.app.page import layout
from workbench.explorer.app.pages import PAGES
from workbench.explorer.session.state import ExplorerState
pn.extension("tabulator")
for _ in range(2):
    began, worked = time.perf_counter(), time.process_time()
    state = ExplorerState(sys.argv[1], served=True)
    state.param["view"].objects = [page.key for page in PAGES]
    layout(state).get_root()
    print(json.dumps({"seconds": round(time.perf_counter() - began, 2),
                      "processor": round(time.process_time() - worked, 2)}), flush=True)
"""


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="60 and 240 scans: shows that it runs, and no more")
    parser.add_argument("--scans", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--executor", choices=["here", "local"], default="here", help="of prepare and embed")
    parser.add_argument("--work", type=Path, help="work here, and leave it; for one size")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    args = parser.parse_args(argv)
    sizes = sorted([60, 240] if args.quick else args.scans)
    if args.work is not None and len(sizes) > 1:
        parser.error("--work is for one size of --scans")
    if args.work is None and set(args.steps) != set(STEPS):
        parser.error("--steps needs what the others left: --work")
    steps: dict[str, dict[int, dict[str, float]]] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            for name, seen in measure(args.work or Path(folder), size, args.executor, args.steps):
                steps.setdefault(name, {})[size] = seen
                print(f"{size} scans, {name}: {seen}", file=sys.stderr, flush=True)
    print(
        json.dumps(
            {
                "name": "scale",
                "ours": round(sum(seen[sizes[-1]]["processor"] for seen in steps.values()), 1),
                "unit": f"s of processor for {sizes[-1]} scans, all steps",
                "ratio": None,
                "n": 1,
                "executor": args.executor,
                "steps": {name: told(seen) for name, seen in steps.items()},
                "load_average": round(os.getloadavg()[0], 1),
            }
        )
    )


def told(seen: dict[int, dict[str, float]]) -> dict[str, Any]:
    """A step at every size, and the line through them."""
    sizes = sorted(seen)
    seconds = [seen[size]["processor"] for size in sizes]
    slope = float(np.polyfit(sizes, seconds, 1)[0]) if len(sizes) > 1 else None
    return {
        "at": {str(size): seen[size] for size in sizes},
        "processor_for_1000_more": None if slope is None else round(1000 * slope, 3),
        "memory_ratio": round(seen[sizes[-1]]["mb"] / seen[sizes[0]]["mb"], 2),
    }


def measure(folder: Path, size: int, executor: str, steps: Collection[str]) -> Iterator[tuple[str, dict[str, float]]]:
    """Do the steps, one after the other, and tell of each."""
    runs = folder / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    if not (folder / "scans.csv").is_file():
        write_scans(folder, size)
    store, encoder = runs / "prepare", folder / "encoder"
    how: list[str | Path] = ["--executor", executor]
    looked: list[str | Path] = ["--store", store, "--encoder", encoder, "--regions", "none_there"]
    words: dict[str, list[str | Path]] = {
        "cohort": ["--sources", folder / "scans.csv"],
        "prepare": ["--cohort", runs / "cohort", "--spacing", f"{SPACING:g}", "--margin", "0", *how],
        "embed": [*looked, "--accelerator", "cpu", *how],
        "shift": ["--embed", runs / "embed", "--combat", "false"],
    }
    for name in (step for step in STEPS if step in steps):
        if name == "explorer":
            yield from explorer(runs)
            continue
        if name == "embed" and not encoder.exists():
            write_encoder(encoder, store)
        shutil.rmtree(runs / name, ignore_errors=True)
        yield name, job(name, "--out", str(runs / name), *map(str, words[name]))


def write_scans(folder: Path, size: int) -> None:
    """Files and the table that names them."""
    import nibabel as nib

    (folder / "scans").mkdir()
    axes = np.stack(np.meshgrid(*[np.arange(EDGE) - EDGE / 2 + 0.5] * 3, indexing="ij"))
    ball = (axes**2).sum(axis=0) < (0.45 * EDGE) ** 2
    affine = np.diag([SPACING, SPACING, SPACING, 1.0])
    affine[:3, 3] = -SPACING * EDGE / 2
    rows = ["path,participant,site,sex,age,simulated"]
    for i in range(size):
        rng = np.random.default_rng(i)
        data = np.where(ball, 100 + 5 * (i % SITES) + rng.normal(0, 10, ball.shape), 0).astype(np.float32)
        nib.save(nib.Nifti1Image(data, affine), folder / "scans" / f"s{i:06d}.nii")
        rows.append(f"scans/s{i:06d}.nii,p{i:06d},site{i % SITES},{'FM'[i % 2]},{20 + i % 60},true")
    (folder / "scans.csv").write_text("\n".join(rows) + "\n")


def write_encoder(folder: Path, store: Path) -> None:
    from workbench.model.config import EncoderConfig
    from workbench.model.export import EncoderCard, fresh_encoder, save_encoder
    from workbench.prepare import open_store

    config = EncoderConfig(preset="micro", image_size=16, patch=8)
    prepared = open_store(store)
    card = EncoderCard(config, prepared.fingerprint, prepared.spacing, (), (), "none", 0, 0, True)
    save_encoder(folder, fresh_encoder(config, 0).state_dict(), card)


def job(*words: str) -> dict[str, float]:
    return timed([sys.executable, "-m", "workbench.cli", *words, "--quiet"])[0]


def explorer(runs: Path) -> Iterator[tuple[str, dict[str, float]]]:
    whole, said = timed([sys.executable, "-W", "ignore", "-c", EXPLORER, str(runs)])
    for name, line in zip(("first", "second"), said.splitlines(), strict=True):
        yield f"explorer, {name} session", {**json.loads(line), "mb": whole["mb"]}


def timed(command: list[str]) -> tuple[dict[str, float], str]:
    """Seconds of a process, by the clock and of the processor with its children, MB of the largest among it and its
    children, and what it printed."""
    wrapper = (
        "import json, resource, subprocess, sys; "
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True); "
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "print(json.dumps([done.returncode, used.ru_maxrss, used.ru_utime + used.ru_stime, done.stdout]))"
    )
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", wrapper, *command], stdout=subprocess.PIPE, text=True, check=True)
    seconds = time.perf_counter() - began
    status, highest, processor, said = json.loads(done.stdout)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with {status}")
    unit = 1024 if sys.platform != "darwin" else 1
    seen = {"seconds": seconds, "processor": processor, "mb": highest * unit / 1e6}
    return {name: round(value, 1) for name, value in seen.items()}, said


if __name__ == "__main__":
    main()
