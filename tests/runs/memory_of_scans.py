"""Highest bytes that Python, NumPy and Arrow hold while so many scans are worked on: ``… FOLDER SCANS`` prints them.

A process of its own: it traces every allocation and changes Arrow's memory pool, which crashed a test process that had
a browser's threads in it.
"""

import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa

from workbench.runs.parts import Parts, over_scans


def often(self, scan, rows, add=Parts.add):
    add(self, scan, rows)
    if len(self.scans) == 5:  # in place of ten seconds
        self.flush()


def work(scan):
    return {"rows": [{"scan_id": scan, "vector": np.full(10_000, int(scan), np.float32)}]}


def looked(folder: Path, scans: int) -> None:
    folder.mkdir()
    over_scans(SimpleNamespace(path=folder), [str(i) for i in range(scans)], work, ["rows"], desc="test")


if __name__ == "__main__":
    parent, number = Path(sys.argv[1]), int(sys.argv[2])
    Parts.add = often
    looked(parent / f"first-{number}", 5)  # imports
    pool = pa.proxy_memory_pool(pa.default_memory_pool())
    pa.set_memory_pool(pool)
    tracemalloc.start()
    looked(parent / str(number), number)
    print(tracemalloc.get_traced_memory()[1] + pool.max_memory())
