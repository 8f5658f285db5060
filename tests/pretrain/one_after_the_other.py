"""``python tests/pretrain/one_after_the_other.py YAML…``: a pretraining of each file, all by the same two processes.

Two processes have to load torch each; for five trainings of a second that is most of the time.
"""

import sys
from pathlib import Path

from workbench.pretrain.config import PretrainConfig
from workbench.pretrain.train import run_pretrain
from workbench.runs import read_yaml

if __name__ == "__main__":
    for file in sys.argv[1:]:
        settings = read_yaml(Path(file))
        del settings["job"]
        how = {
            "accelerator": "cpu",
            "workers": 0,
            "devices": 2,
            "strategy": "ddp",
        }  # which is not what a run is: no YAML has it
        run_pretrain(PretrainConfig.build({**settings, **how}))
