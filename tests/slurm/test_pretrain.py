"""A pretraining of two processes (gloo) on a real Slurm of one node: preempted, and told that its time is over."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import make_study
from tests.slurm.conftest import release, show, wait_for, workbench
from tests.slurm.test_slurm import announce_the_end
from workbench.pretrain.cluster import job_of
from workbench.runs import Run

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]
HOW = ("--accelerator", "cpu", "--devices", 2, "--workers", 1)


def test_a_disturbed_pretraining_ends_in_the_weights_of_one_that_was_not(cluster, tmp_path):
    study = make_study(tmp_path / "study")
    config = study.pretrain(tmp_path / "run", epochs=24.0)
    settings = tmp_path / "run.yaml"
    settings.write_text(config.to_yaml())
    common = ("pretrain", "--config", settings, *HOW)
    slurm = ("--executor", "slurm", "--slurm.partition", "low")
    whole = workbench(tmp_path, *common, "--out", tmp_path / "whole", threads="1")
    assert whole.wait(200) == 0, whole.communicate()[1]

    watcher = workbench(tmp_path, *common, *slurm)
    job = wait_for(lambda: job_of(config.out), 60)
    between = steps(config.out)

    # a job of a more important partition takes the node: Slurm ends ours and queues it again
    wait_for(lambda: between() > 3, 120)
    subprocess.run(["sbatch", "--partition=high", "--output=/dev/null", "--wrap=sleep 1"], check=True)
    wait_for(lambda: saved(config.out), 60)
    show(f"after the preemption, at step {(preempted := between())}")
    wait_for(lambda: release() or between() > preempted + 3, 200)

    # the signal with which Slurm announces the end of the wall time
    announce_the_end(f"{job}_0")
    wait_for(lambda: Run(config.out).status["state"] != "running", 60)
    show(f"after the end of its time, at step {(late := between())}")
    assert 0 < preempted < late < 72, "it was not done before"
    wait_for(lambda: release() or watcher.poll() is not None, 300, every=1)
    assert watcher.returncode == 0, watcher.communicate()[1]

    run = Run(config.out).require_ok()
    assert run.provenance["how"]["processes"] == 2 and len(run.metrics()) == len(Run(tmp_path / "whole").metrics())
    ours, theirs = (load_file(out / "model" / "encoder.safetensors") for out in (run.path, tmp_path / "whole"))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    logs = "".join(f.read_text() for f in (tmp_path / "run-slurm").glob("*.err"))
    assert logs.count("continuing after step") == 2, logs


def steps(out: Path):
    def done() -> int:
        file = out / "metrics.jsonl"
        return file.read_text().count("\n") if file.is_file() else 0

    return done


def saved(out: Path) -> bool:
    return any((out / "checkpoints").glob("step-*")) if (out / "checkpoints").is_dir() else False
