"""Runs pretrainings in forks of a process that has imported everything: a start costs a tenth of a second.

Reads lines ``settings.yaml`` or ``settings.yaml half`` from stdin; answers the fork's pid, then how it ended. With
``half`` the fork is killed in the middle of writing a checkpoint: one file of it is whole, one is half.
"""

import os
import signal
import sys
from pathlib import Path

from workbench.engine import checkpoint, views_cpu  # noqa: F401  (numba takes a second of each start otherwise)
from workbench.pretrain import PretrainConfig, run_pretrain
from workbench.runs import read_yaml

whole_file = checkpoint.save_file


def half_file(tensors, path):
    """The first file is written, of the second half, and then the machine goes dark."""
    whole_file(tensors, path)
    if Path(path).name.startswith("optimiser"):
        os.truncate(path, Path(path).stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)


for line in sys.stdin:
    settings, *how = line.split()
    pid = os.fork()
    if pid == 0:
        if how == ["half"]:
            checkpoint.save_file = half_file
        values = read_yaml(Path(settings))
        values.pop("job")
        run_pretrain(PretrainConfig.build({**values, "checkpoint_minutes": 0, "workers": 0, "accelerator": "cpu"}))
        os._exit(0)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
