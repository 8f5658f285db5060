"""What a job of Slurm does for a study: ``python -m workbench.study.cells.slurm_job FILE`` does one cell.

FILE is JSON that ``workbench.study.cells.on_slurm`` wrote. Before the wall time is over Slurm tells the job; the cell
saves its state, and the job is queued again. One that Slurm preempts saves its state likewise, and Slurm itself queues
it again.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from workbench.runs.slurm import listen, queue_again
from workbench.study.cells.on_slurm import tell
from workbench.study.cells.worker import run_cell


def main(words: Sequence[str] | None = None) -> int:
    (path,) = sys.argv[1:] if words is None else words
    file = Path(path)
    work = json.loads(file.read_text())
    log = os.open(work["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(log, stream)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # before the job's own way to take it, and after
    announced = listen()
    try:
        tell(file, run_cell(work))
    except KeyboardInterrupt:
        if announced.is_set():
            queue_again(int(work["requeues"]), file.parent)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
