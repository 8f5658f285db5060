"""PCA, UMAP and t-SNE of 10,000 embeddings of 384 numbers, as the job embed makes them, against the stated minute.

    python -m benchmarks.projections [--quick]

The embeddings are drawn: five clusters of people in a space of few dimensions, with noise in all. What the job does is
done: the reference is fitted on 2,000 scans drawn by the seed (``--reference_scans``, its default), all others are
placed against it each alone, and trustworthiness and continuity are computed. UMAP is compiled by the first process of
an installation and kept: ``compiling`` is what a fit of 50 points takes in processor time there (in a copy of UMAP
that keeps nothing yet) and in the processes after it, imports included. ``whole`` is the fit on all 10,000, which the
setting also allows; ``--quick`` leaves that out. The last line on stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

LIMIT_S = 60.0
SCANS, WIDTH = 10_000, 384


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="without the fit on all scans")
    parser.add_argument("--scans", type=int, default=SCANS, help="how many embeddings")
    args = parser.parse_args(argv)
    told = compiling(later=2 if args.quick else 5)
    print(f"a first fit of UMAP, processor seconds: {told}", file=sys.stderr)
    vectors = drawn(args.scans, WIDTH)
    ours = project(vectors, reference=2000)
    print(f"reference of 2,000: {ours}", file=sys.stderr)
    whole = None if args.quick else project(vectors, reference=len(vectors))
    total = round(sum(ours.values()), 1)
    print(
        json.dumps(
            {
                "name": "projections",
                "ours": total,
                "peer": LIMIT_S,
                "peer_is": "stated limit",
                "ratio": round(LIMIT_S / total, 2),
                "unit": "s",
                "n": len(vectors),
                "width": WIDTH,
                "parts": ours,
                "whole": whole,
                "compiling": told,
                "load_average": round(os.getloadavg()[0], 1),
            }
        )
    )


def drawn(scans: int, width: int) -> np.ndarray:
    """Embeddings ``(scans, width)``: five clusters in 20 dimensions, turned into the width, with noise."""
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(scans, 20)) + 4 * rng.normal(size=(5, 20))[rng.integers(5, size=scans)]
    return (latent @ rng.normal(size=(20, width)) + 0.5 * rng.normal(size=(scans, width))).astype(np.float32)


FIT = """
import sys
sys.path[:0] = {path!r}
import numpy as np
from workbench.analysis.embed.compiled import import_umap
umap = import_umap()
assert umap.__file__.startswith({where!r}), umap.__file__
umap.UMAP(random_state=0, n_jobs=1).fit(np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32))
"""


def compiling(*, later: int) -> dict[str, float | list[float]]:
    """Processor seconds of a process that fits 50 points: the ``first`` of an installation, and ``later`` ones."""
    import importlib.util

    spec = importlib.util.find_spec("umap")
    assert spec is not None and spec.submodule_search_locations is not None
    with tempfile.TemporaryDirectory() as folder:
        # what is kept lies in the package's own folder: a copy of it has none
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(spec.submodule_search_locations[0], Path(folder) / "umap", ignore=leave)
        code = FIT.format(path=[folder], where=folder)
        seconds = []
        for _ in range(1 + later):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds.append(round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1))
    return {"first": seconds[0], "later": seconds[1:]}


def project(vectors: np.ndarray, *, reference: int) -> dict[str, float]:
    """Seconds of fitting, placing, finding neighbours and judging the pictures; what ``embed`` does after encoding."""
    from workbench.analysis.config import EmbedConfig
    from workbench.analysis.embed.job import make_reference
    from workbench.analysis.embed.neighbours import nearest, picture_quality

    config = EmbedConfig(out=Path("-"), store=Path("-"), encoder=Path("-"), reference_scans=reference)
    ids = [f"scan{i}" for i in range(len(vectors))]
    began = time.perf_counter()
    parts: dict[str, float] = {}

    def mark(name: str) -> None:
        parts[name] = round(time.perf_counter() - began - sum(parts.values()), 1)

    frozen = make_reference(ids, vectors, config)
    mark("fit")
    places = frozen.place(ids, vectors)
    mark("place")
    standard = frozen.standardise(vectors)
    nearest(ids, standard, ids, standard, k=config.listed)
    mark("neighbours")
    quality = picture_quality(standard, places, config.neighbours, config.seed)
    mark("quality")
    print(quality.round(3).to_string(index=False), file=sys.stderr)
    return parts


if __name__ == "__main__":
    main()
