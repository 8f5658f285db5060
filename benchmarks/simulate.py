"""Simulating the default cohort (72 participants at 2 mm) against its stated limit: 120 s on two cores.

    python -m benchmarks.simulate [--quick]

There is no other tool that does the same job, so ``peer`` is the limit. The time includes starting the workers and
reading the templates. ``--quick`` simulates fewer participants and scales what is left after the start by their number;
it says so in ``scaled_from``. The last line on stdout is one JSON object; ``ours`` and ``peer`` are seconds, and a
``ratio`` above 1 is faster than the limit.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from workbench.simulate.config import SimulateConfig
from workbench.simulate.design import design
from workbench.simulate.simulate import run_simulate, t1w_path

LIMIT_S = 120.0
PARTICIPANTS = 72
QUICK = 12
WORKERS = 2


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} participants, scaled to {PARTICIPANTS}")
    print(json.dumps(measure(QUICK if parser.parse_args(argv).quick else PARTICIPANTS)))


def measure(participants: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        config = SimulateConfig(out=Path(folder) / "simulated", participants=participants, workers=WORKERS)
        began_wall, began = time.time(), time.perf_counter()
        run_simulate(config)
        seconds = time.perf_counter() - began
        # the workers start side by side, so the first WORKERS scans end together with the start; the rest is the pace
        ends = sorted(t1w_path(config, person).stat().st_mtime for person in design(config))
    result: dict[str, Any] = {}
    if participants < PARTICIPANTS:
        first = ends[WORKERS - 1] - began_wall
        pace = (ends[-1] - ends[WORKERS - 1]) / (participants - WORKERS)
        result = {"scaled_from": participants, "measured_s": round(seconds, 2)}
        seconds = first + pace * (PARTICIPANTS - WORKERS)
    return {
        "name": f"simulate {PARTICIPANTS} participants, 2 mm, {WORKERS} workers",
        "ours": round(seconds, 2),
        "peer": LIMIT_S,
        "peer_is": "stated limit",
        "ratio": round(LIMIT_S / seconds, 3),
        "unit": "s",
        "n": PARTICIPANTS,
        **result,
        "load_average": round(os.getloadavg()[0], 1),
    }


if __name__ == "__main__":
    main()
