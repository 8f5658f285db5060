"""The process that runs cells one after the other: ``python -m workbench.study.cells.worker``, see ``runs.forks``.

Importing torch and MONAI takes seconds and a study has hundreds of cells: they are imported once, and each cell is a
fork of its own.
"""

from __future__ import annotations

import importlib
import signal
import sys
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.jobs import JOBS
from workbench.runs import read_yaml
from workbench.runs.forks import serve


def main() -> int:
    """Arguments: the jobs that the cells will be of."""
    return serve(lambda: _preload(sys.argv[1:]), _begin, run_cell)


def run_cell(work: dict[str, Any]) -> dict[str, Any]:
    """Run the job of ``work``: ``config`` (a YAML file with ``job``) and ``how`` (settings it leaves out)."""
    values = read_yaml(Path(work["config"]))
    job = JOBS[values.pop("job")]
    try:
        job.do(job.config_class().build({**values, **work.get("how", {})}))
    except WorkbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return {"failed": error.what + (f" ({error.cause})" if error.cause else "")}
    return {"ok": True}


def _preload(jobs: list[str]) -> None:
    for job in jobs:
        for name in JOBS[job].imports:
            importlib.import_module(name)


def _begin(work: dict[str, Any]) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)


if __name__ == "__main__":
    sys.exit(main())
