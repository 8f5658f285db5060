"""A real Slurm: controller and one node on this machine, started by ``cluster.sh`` and gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("cluster.sh")
REPO = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def cluster():
    if os.environ.get("WORKBENCH_TEST_SLURM") != "1":
        pytest.skip("minutes with a Slurm of its own: `make test-slurm`")
    missing = [name for name in ("slurmctld", "slurmd", "munged", "sbatch") if not shutil.which(name)]
    if missing:
        pytest.skip(f"{', '.join(missing)} not found: apt-get install slurm-wlm munge")
    if os.getuid() != 0:
        pytest.skip("starting slurmd and munged takes root")
    folder = Path(tempfile.mkdtemp(prefix="workbench-slurm-"))  # not below pytest's, which munge's user cannot enter
    subprocess.run([SCRIPT, "start", folder], check=True)
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    yield folder
    subprocess.run(["scancel", "--me"], check=False)
    wait_for(lambda: not squeue(), 60)
    del os.environ["SLURM_CONF"]
    subprocess.run([SCRIPT, "stop", folder], check=True)
    shutil.rmtree(folder, ignore_errors=True)  # daemons remove their own files as they end


def squeue():
    return subprocess.run(
        ["squeue", "--noheader", "--array", "--format=%i|%T|%r"], capture_output=True, text=True, check=True
    ).stdout.splitlines()


def release():
    """Without accounting a job that is queued again waits two minutes; the tests do not."""
    for line in squeue():
        job, state, reason = line.split("|")
        if state == "PENDING" and reason == "BeginTime":
            subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], check=False)


def show(when):
    print(f"--- {when}\n" + "\n".join(squeue()))


def wait_for(what, patience, every=0.2):
    end = time.monotonic() + patience
    while not (found := what()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(every)
    return found


def workbench(folder, *words, stdout=subprocess.DEVNULL, threads="1"):
    """A command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "workbench.cli", *map(str, words)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": threads},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )
