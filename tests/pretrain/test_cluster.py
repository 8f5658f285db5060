"""A pretraining as a Slurm job: what is submitted, kept by an `sbatch` of our own. A real one: tests/slurm."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.pretrain import cluster
from workbench.pretrain.config import PretrainConfig


def test_the_job_asks_for_its_processes_and_carries_every_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = {"sbatch": f'cp "$1" "{tmp_path}/script"; echo Submitted batch job 12', "srun": ":", "squeue": "true"}
    for name, text in commands.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(cluster, "LOOK_EVERY", 0.01)
    config = PretrainConfig.build(
        {
            "out": tmp_path / "runs" / "volta",
            "store": tmp_path / "store",
            "batch_size": 32,
            "executor": "slurm",
            "nodes": 2,
            "devices": 8,
            "strategy": "fsdp",
            "slurm": {"partition": "gpu", "hours": 2, "requeues": 5},
        }
    )
    with pytest.raises(WorkbenchError, match="not a run folder"):  # the job is gone at once and has done nothing
        cluster.through_slurm(config)
    script = (tmp_path / "script").read_text()
    for line in (
        "--nodes=2",
        "--ntasks-per-node=8",
        "--gpus-per-node=8",
        "--partition=gpu",
        "--time=120",
        "--requeue",
        "--signal=USR2@90",
    ):
        assert f"#SBATCH {line}\n" in script, line
    assert "SRUN_CPUS_PER_TASK=1" in script  # else srun gives a process one core, whatever slurm.cpus says
    told = json.loads((tmp_path / "runs" / "volta-slurm" / "settings.json").read_text())
    assert f"-m workbench.pretrain.cluster_job {tmp_path / 'runs' / 'volta-slurm' / 'settings.json'}" in script
    assert told["requeues"] == 5 and not told["overwrite"]
    inside = PretrainConfig.build(told["settings"])  # what each process of the job is set to: itself, and no new job
    assert inside == config.model_copy(update={"executor": "here", "slurm": inside.slurm})
    assert not (tmp_path / "runs" / "volta-slurm" / "job").exists() and not list(tmp_path.rglob("*.pkl"))
