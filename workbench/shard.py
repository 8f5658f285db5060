"""What a process does that works on some scans of a run: ``python -m workbench.shard RUN SHARD [PARENT]``.

RUN is the folder of a run that another process holds, SHARD the name of a file in its folder ``shards``, or ``@`` and
the name of a list of such, of which ``SLURM_ARRAY_TASK_ID`` chooses one. With PARENT (a process id) this one ends when
that one is gone. See ``workbench.runs.spread``.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.jobs import JOBS


def main(words: Sequence[str] | None = None) -> int:
    from workbench.runs import Run
    from workbench.runs.slurm import listen, queue_again
    from workbench.runs.spread import FOLDER, as_shard, read_shard

    folder, name, *parent = sys.argv[1:] if words is None else words
    if parent:
        _end_with(int(parent[0]))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # before the job's own way to take it, and after
    announced = listen()
    try:
        shard = read_shard(Path(folder), name)
        run = Run(folder)
        job = JOBS[run.job]
        values = {key: value for key, value in run.config.items() if key != "job"}
        config = job.config_class().build({**values, "out": folder, **shard.settings})
        with as_shard(shard):
            job.do(config)
    except WorkbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:  # what was done is on the disk
        if announced.is_set():
            queue_again(shard.requeues, Path(folder) / FOLDER)
        return 130
    return 0


def _end_with(parent: int) -> None:
    """End this process once its parent is gone: nobody would join what it does, and another may do it again."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)  # writes what is done
        time.sleep(30)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
