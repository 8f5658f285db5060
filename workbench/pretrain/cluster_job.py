"""What each process of a pretraining's Slurm job does: ``python -m workbench.pretrain.cluster_job SETTINGS``.

SETTINGS is JSON that ``workbench.pretrain.cluster`` wrote. Told that the time is nearly over, the processes save a
checkpoint, and the first one queues the job again.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.pretrain.config import PretrainConfig
from workbench.pretrain.train import run_pretrain
from workbench.runs.slurm import listen, queue_again


def main(words: Sequence[str] | None = None) -> int:
    (path,) = sys.argv[1:] if words is None else words
    told = json.loads(Path(path).read_text())
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a training takes it as a request, between two steps
    announced = listen()
    # a job that was queued again goes on with what it has, and does not begin anew
    overwrite = bool(told["overwrite"]) and not int(os.environ.get("SLURM_RESTART_COUNT", "0"))
    try:
        run_pretrain(PretrainConfig.build(told["settings"]), overwrite=overwrite)
    except WorkbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        if announced.is_set() and os.environ.get("SLURM_PROCID", "0") == "0":
            queue_again(int(told["requeues"]), Path(path).parent)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
