"""A pretraining as a job of Slurm, of several processes on several nodes, queued again when its time is over.

``workbench pretrain --executor slurm`` writes the settings as JSON, submits one job whose every process is
``python -m workbench.pretrain.cluster_job SETTINGS``, and waits for it. The training itself is the same as anywhere:
Fabric finds its neighbours through Slurm. Before the wall time is over Slurm tells every process; they save a
checkpoint, the first one queues the job again, and it goes on from there. So does a job that is preempted.

It was run on a Slurm of one node, on the CPU (``tests/slurm``), not on several nodes, nor with GPUs.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

from workbench.pretrain.config import PretrainConfig
from workbench.runs import Run, replacing
from workbench.runs.slurm import require_queue, submit_array, wait_until_gone

LOOK_EVERY = 5.0
JOB = "job"
OURS = {"executor", "slurm"}


def folder_of(out: Path) -> Path:
    """Scripts and logs: beside the run, whose folder is not begun before its job is."""
    return out.with_name(f"{out.name}-slurm")


def job_of(out: Path) -> str | None:
    """The Slurm job that somebody waits for, or waited for when last seen; None where there is none."""
    file = folder_of(out) / JOB
    return file.read_text().strip() if file.is_file() else None


def submit(config: PretrainConfig, *, overwrite: bool = False) -> str:
    """Submit the job; returns its id."""
    folder = folder_of(config.out).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    how = {name: value for name, value in config.how().items() if name not in OURS}
    values = {**config.model_dump(mode="json"), **how}
    told = {"settings": values, "overwrite": overwrite, "requeues": config.slurm.requeues}
    with replacing(folder / "settings.json") as partial:
        partial.write_text(json.dumps(told, indent=1) + "\n")
    asked = config.slurm
    if config.accelerator != "cpu" and not asked.gpus:
        asked = asked.model_copy(update={"gpus": config.devices})
    return submit_array(
        f"-u -m workbench.pretrain.cluster_job {shlex.quote(str(folder / 'settings.json'))}",
        1,
        folder,
        asked,
        nodes=config.nodes,
        tasks_per_node=config.devices,
    )


def through_slurm(config: PretrainConfig, *, overwrite: bool = False) -> Run:
    """Submit, and wait for the end.

    Raises:
        WorkbenchError: the job ended, and the run did not.
        KeyboardInterrupt: the waiting was stopped; the job stays in the queue.
    """
    file = folder_of(config.out) / JOB
    job = job_of(config.out)
    if job is None or not any(name.split("_")[0] == job for name in require_queue()):
        job = submit(config, overwrite=overwrite)
        file.write_text(f"{job}\n")  # the same command waits for the job that it finds there
    print(f"Slurm job {job}; its logs are in {folder_of(config.out)}", file=sys.stderr)
    try:
        wait_until_gone({job}, lambda: None, LOOK_EVERY)
    except KeyboardInterrupt:
        print(
            f"The job stays in Slurm's queue: `workbench status {config.out}` tells how it stands, the same command "
            f"waits for it, `scancel {job}` ends it.",
            file=sys.stderr,
        )
        raise
    file.unlink(missing_ok=True)
    return Run(config.out).require_ok()
