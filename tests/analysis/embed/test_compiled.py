"""What was compiled is found again by another process, and gives the same picture."""

from __future__ import annotations

import json
import os
import subprocess
import sys

LINES = """
import json
import numpy as np
from workbench.analysis.embed import compiled
umap = compiled.import_umap()
import numba
assert numba.njit.__module__.startswith("numba"), "numba is as it was"
points = np.random.default_rng(0).normal(size=(15, 6)).astype(np.float32)
found = umap.UMAP(n_neighbors=4, random_state=0, n_jobs=1).fit_transform(points)
from umap.umap_ import smooth_knn_dist
kept = smooth_knn_dist.stats
counts = {"read": sum(kept.cache_hits.values()), "made": sum(kept.cache_misses.values())}
print(json.dumps({"points": found.tolist(), **counts}))
"""


def _run() -> dict:
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-c", LINES], capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def test_the_second_process_compiles_nothing_and_finds_the_same() -> None:
    first, second = _run(), _run()
    assert second["read"] >= 1 and second["made"] == 0
    assert first["points"] == second["points"]
