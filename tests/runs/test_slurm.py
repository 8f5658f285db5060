"""Slurm's announcement that a job's time is nearly over, and the queueing again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.runs.slurm import queue_again

TOLD = """
import os, signal, subprocess, sys, time
from workbench.runs.slurm import listen
signal.signal(signal.SIGTERM, signal.default_int_handler)
announced = listen()
worker = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
try:
    for pid in (worker.pid, os.getpid()):  # as Slurm does: to every process of the job
        os.kill(pid, signal.SIGUSR2)
    time.sleep(60)
except KeyboardInterrupt:
    worker.communicate(b"go on")
    print(announced.is_set(), worker.returncode)
"""


def test_the_announcement_stops_a_job_and_ends_none_of_its_workers() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("SUBMITIT_PREEMPT_SIGNAL", None)
    done = subprocess.run([sys.executable, "-c", TOLD], capture_output=True, text=True, env=environment, timeout=120)
    assert done.stdout.split() == ["True", "0"], done.stderr


def test_only_running_out_of_time_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/asked"\n')
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "9")  # preempted, again and again
    assert not queue_again(2, tmp_path)  # no job
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    assert [queue_again(2, tmp_path) for _ in range(3)] == [True, True, False]
    assert (tmp_path / "asked").read_text().splitlines() == ["requeue 7_1"] * 2
