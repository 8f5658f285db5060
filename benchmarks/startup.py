"""How long `workbench --help` takes, against the stated limit of one second.

    python -m benchmarks.startup [--quick]

The last line on stdout is one JSON object; seconds are medians of whole processes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

LIMIT_S = 1.0


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5 processes in place of 15")
    n = 5 if parser.parse_args(argv).quick else 15
    times = []
    for _ in range(n + 1):  # the first warms the file cache
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "workbench.cli", "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    ours = statistics.median(times[1:])
    print(
        json.dumps(
            {
                "name": "startup",
                "ours": round(ours, 3),
                "peer": LIMIT_S,
                "peer_is": "stated limit",
                "ratio": round(LIMIT_S / ours, 2),
                "unit": "s",
                "n": n,
            }
        )
    )


if __name__ == "__main__":
    main()
