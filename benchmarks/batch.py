"""What a run of a batch costs beyond its own work, against plain `papermill` in a shell loop.

    python -m benchmarks.batch [--quick]

Both run the same tiny notebook with other parameters, one after the other, on one process; they take turns, so that
other work on the machine slows both alike. Ours also plans, watches, keeps the record and writes an HTML report, which
the peer does not. The last line on stdout is one JSON object; ``ours`` and ``peer`` are seconds a run beyond the
notebook's own work, smaller is better, and ``ratio`` is peer / ours.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LIMIT_S = 8.0
WORK_S = 0.5  # what the notebook itself does: it sleeps
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1 turn of 6 runs in place of 4")
    quick = parser.parse_args(argv).quick
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), turns=1 if quick else 4, runs=6)
    print(json.dumps(result))


def measure(folder: Path, turns: int, runs: int) -> dict[str, Any]:
    template = write_template(folder / "template.ipynb")
    subprocess.run([sys.executable, "-c", "import papermill, nbconvert, pandas, ipykernel"], check=True)  # file cache
    seconds = {"ours": 0.0, "peer": 0.0}
    for turn in range(turns):
        seeds = range(turn * runs, (turn + 1) * runs)
        order = [("ours", ours), ("peer", peer)]
        for name, work in order if turn % 2 == 0 else order[::-1]:
            began = time.perf_counter()
            work(folder, template, seeds)
            taken = time.perf_counter() - began
            seconds[name] += taken
            print(
                f"{runs} runs: {name} {taken:.1f} s, of which {runs * WORK_S:.1f} s are the notebook's", file=sys.stderr
            )
    n = turns * runs
    each = {name: total / n - WORK_S for name, total in seconds.items()}
    return {
        "name": "batch",
        "ours": round(each["ours"], 2),
        "peer": round(each["peer"], 2),
        "peer_is": "papermill in a shell loop, without a report",
        "ratio": round(each["peer"] / each["ours"], 2),
        "unit": "s a run beyond its own work",
        "n": n,
        "limit": LIMIT_S,
        "within": each["ours"] < LIMIT_S,
    }


def write_template(path: Path) -> Path:
    import nbformat

    cells = [
        nbformat.v4.new_code_cell("seed = 0\nout = None", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(f"import time\ntime.sleep({WORK_S})\nprint(seed)"),
    ]
    content = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    nbformat.write(content, path)
    return path


def ours(folder: Path, template: Path, seeds: range) -> None:
    """One batch, the whole command with its start and its planning."""
    out = folder / f"batch-{seeds[0]}"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "workbench.cli",
            "batch",
            "--out",
            str(out),
            "--notebook",
            str(template),
            "--grid",
            json.dumps({"seed": list(seeds)}),
        ],
        check=True,
        env=environment(),
        capture_output=True,
    )
    table = (out / "results" / "runs.csv").read_text()
    assert table.count(",ok,") == len(seeds), table


def peer(folder: Path, template: Path, seeds: range) -> None:
    words = " ".join(map(str, seeds))
    loop = (
        f'for seed in {words}; do "{sys.executable}" -m papermill "{template}" "{folder}/peer-$seed.ipynb" '
        "-p seed $seed || exit 1; done"
    )
    subprocess.run(["bash", "-c", loop], check=True, env=environment(), capture_output=True)
    assert all((folder / f"peer-{seed}.ipynb").is_file() for seed in seeds)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


if __name__ == "__main__":
    main()
