"""What `workbench compare` costs beyond the work of its cells, against the same cells as commands in a shell loop.

    python -m benchmarks.compare [--quick]

The same cells: pretrainings, segmentations and classifications of a few steps on simulated people at 4 mm, one after
the other on one process. The loop runs `workbench JOB --config FILE` for each, with the settings that `compare` gave
it. Ours also plans, watches, tests, and writes the tables and the report with its pictures, which the loop does not.
What the cells' own records say that they took is taken off both. The last line on stdout is one JSON object, where
``ours`` and ``peer`` are seconds a cell beyond that work, smaller is better, and ``ratio`` is peer / ours.
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
from pathlib import Path
from typing import Any

import yaml

from workbench.cohort import CohortConfig, run_cohort
from workbench.prepare import PrepareConfig
from workbench.prepare.prepare import run_prepare
from workbench.simulate.config import SimulateConfig
from workbench.simulate.simulate import run_simulate

ENCODER = {"preset": "micro", "image_size": 16, "patch": 8}
HEADS = {"prototypes_cls": 32, "prototypes_patch": 32, "head_hidden": 32, "head_bottleneck": 16}
SEGMENT = {"segment": {"steps": 4, "features": 4, "crop": [16, 16, 16]}}
CLASSIFY = {"classify": {"target": "sex", "mode": "linear"}}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1 turn of 3 cells in place of 2 turns of 10")
    quick = parser.parse_args(argv).quick
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), turns=1 if quick else 2, quick=quick)
    print(json.dumps(result))


def measure(folder: Path, turns: int, quick: bool) -> dict[str, Any]:
    store = make_store(folder)
    total, cells = {"ours": 0.0, "peer": 0.0}, 0
    for turn in range(turns):
        study, out = write_study(folder, store, turn, quick), folder / f"ours-{turn}"
        began = time.perf_counter()
        workbench("compare", "--config", study, "--out", out)
        seconds = {"ours": time.perf_counter() - began}
        jobs = cells_of(out)
        peer = folder / f"peer-{turn}"
        for name in ("architectures", "splits"):  # what is no cell: there for both
            shutil.copytree(out / name, peer / name)
        files = [write_cell(out, peer, cell) for cell in jobs]
        began = time.perf_counter()
        for job, file in files:
            workbench(job, "--config", file)
        seconds["peer"] = time.perf_counter() - began
        work = {"ours": work_of(out), "peer": work_of(peer)}
        cells += len(jobs)
        for name in total:
            total[name] += seconds[name] - work[name]
            print(
                f"{len(jobs)} cells: {name} {seconds[name]:.1f} s, of which {work[name]:.1f} s are their own work",
                file=sys.stderr,
            )
    each = {name: seconds / cells for name, seconds in total.items()}
    return {
        "name": "compare",
        "ours": round(each["ours"], 2),
        "peer": round(each["peer"], 2),
        "peer_is": "the cells' commands in a shell loop, without statistics and report",
        "ratio": round(each["peer"] / each["ours"], 2),
        "unit": "s a cell beyond its own work",
        "n": cells,
    }


def make_store(folder: Path) -> Path:
    scans, cohort, store = (folder / name for name in ("scans", "cohort", "store"))
    run_simulate(SimulateConfig(out=scans, participants=9, spacing=4, workers=1))
    run_cohort(CohortConfig(out=cohort, sources=(scans,), workers=1))
    run_prepare(PrepareConfig(out=store, cohort=cohort, spacing=4, workers=1))
    return store


def write_study(folder: Path, store: Path, turn: int, quick: bool) -> Path:
    """Two arms and a classification (3 cells), or also a segmentation and two folds (10 cells)."""
    place = {"data": "simulated", "directions": [{"within": []}]}
    tasks = {"sex": {**place, **CLASSIFY}} | ({} if quick else {"hippocampus": {**place, **SEGMENT}})
    study: dict[str, Any] = {
        "title": "Benchmark",
        "data": {"simulated": {"store": str(store)}},
        "pretrain": {"encoder": ENCODER, "objective": HEADS, "epochs": 1, "warmup_epochs": 0.5, "batch_size": 2},
        "arms": {"random": None, "volta": {"pretrain": {}}},
        "tasks": tasks,
        "seeds": [turn],
        "folds": 2 if quick else 3,
        "run_folds": 1 if quick else 2,
        "validation": 0.3,
        "stratify": ["sex"],
    }
    file = folder / f"study-{turn}.yaml"
    file.write_text(yaml.safe_dump(study))
    return file


def cells_of(out: Path) -> list[Path]:
    """In the order in which they ended, so that each comes after those it needs."""
    return sorted((out / "cells").iterdir(), key=lambda cell: (cell / "status.json").stat().st_mtime_ns)


def write_cell(out: Path, peer: Path, cell: Path) -> tuple[str, Path]:
    """The cell's settings with the other folder in every path: its job and the file."""
    text = (cell / "config.yaml").read_text().replace(str(out.resolve()), str(peer.resolve()))
    file = peer / f"{cell.name}.yaml"
    file.write_text(text)
    return str(yaml.safe_load(text)["job"]), file


def work_of(out: Path) -> float:
    return sum(json.loads(file.read_text())["seconds"] for file in out.glob("cells/*/status.json"))


def workbench(*words: object) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run(
        [sys.executable, "-m", "workbench.cli", *map(str, words)], check=True, env=environment, capture_output=True
    )


if __name__ == "__main__":
    main()
