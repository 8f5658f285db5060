"""An array of ``prepare`` on a real Slurm of one node: a shard is killed, one runs out of time, the rest is done."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.prepare.conftest import make_cohort
from tests.slurm.conftest import release, show, wait_for, workbench
from tests.slurm.test_slurm import announce_the_end
from workbench.cohort import CohortConfig, run_cohort
from workbench.prepare import PrepareConfig, run_prepare
from workbench.runs import Run
from workbench.testing import write_bids

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(600)]
SHARDS, SCANS = 3, 24


def test_an_array_of_prepare_of_which_one_shard_is_killed_and_one_out_of_time(cluster, tmp_path):
    cohort = make_cohort(tmp_path, people=SCANS, spacing=(2, 2, 2), shape=(80, 96, 72))
    whole = run_prepare(PrepareConfig(out=tmp_path / "whole", cohort=cohort, spacing=2, workers=2))
    flags = ("--out", "store", "--cohort", cohort, "--spacing", 2, "--executor", "slurm", "--shards", SHARDS)
    flags += ("--slurm.partition", "low", "--slurm.cpus", 2)  # so that a shard has workers of its own
    watcher, store = workbench(tmp_path, "prepare", *flags), tmp_path / "store"

    parts = wait_for(lambda: shards_of(store), 90)
    assert len(parts) == SHARDS
    first = wait_for(lambda: next((name for name in parts if begun(store, parts[name])), None), 120)
    for pid in processes(first_job := job_of(store, first)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    show(f"after a kill -9 of {first_job}")
    print(told := status(tmp_path))
    assert f"of {SCANS} scans" in told and "queue" in told

    second = wait_for(lambda: next((n for n in parts if n != first and begun(store, parts[n])), None), 120)
    announce_the_end(job_of(store, second))
    show("after the end of one's time")

    wait_for(lambda: release() or watcher.poll() is not None, 300, every=2)
    said = watcher.communicate()[1]
    print(said[-1500:], status(tmp_path))
    assert watcher.returncode == 2 and f"1 of {SHARDS} shards ended before" in said, said
    assert (store / "shards" / f"{job_of(store, second)}.requeues").read_text() == "1\n"
    left = set(parts[first])
    assert f"{len(left)} of {SCANS} scans are left" in said  # a kill loses what was not written yet, and nothing else
    refused = workbench(tmp_path, "collect", "store")
    assert f"{len(left)} of {SCANS} scans are left" in refused.communicate(timeout=60)[1] and refused.returncode == 2

    again, seen = workbench(tmp_path, "prepare", *flags, "--shards", 2), {}
    wait_for(lambda: seen.update(shards_of(store)) or again.poll() is not None, 200, every=0.05)
    assert again.returncode == 0, again.communicate()[1]
    later = [set(seen[name]) for name in seen if name not in parts]
    assert len(later) == 2 and set.union(*later) == left
    run = Run(store)
    assert run.read_table("index")["key"].tolist() == whole.read_table("index")["key"].tolist()
    assert {f.name for f in (store / "scans").iterdir()} == {f.name for f in (whole.path / "scans").iterdir()}
    assert not len(run.read_table("set_aside")), "a worker that Slurm's signal reaches is no scan that kills"
    assert not (store / "shards").exists() and not list(store.rglob("*.pkl"))


def test_whoever_was_asked_may_go_and_what_came_is_joined_later(cluster, tmp_path):
    cohort = make_cohort(tmp_path, people=4, spacing=(4, 4, 4), shape=(40, 48, 36))
    flags = ("--out", "store", "--cohort", cohort, "--spacing", 4, "--executor", "slurm", "--shards", 2)
    watcher, store = workbench(tmp_path, "prepare", *flags), tmp_path / "store"
    wait_for(lambda: (store / "shards" / "arrays").is_file(), 90)
    watcher.send_signal(signal.SIGINT)
    assert watcher.wait(30) == 130 and "workbench status" in watcher.communicate()[1]
    wait_for(lambda: "4 of 4 scans" in status(tmp_path), 120, every=2)
    joined = workbench(tmp_path, "collect", "store")
    assert joined.wait(90) == 0, joined.communicate()[1]
    assert len(Run(store).require_ok().read_table("index")) == 4
    assert "prepare: ok" in status(tmp_path)


def shards_of(store: Path) -> dict[str, list[str]]:
    """Shard → its scans, once all of them are submitted, in the order of the scans."""
    if not (store / "shards" / "arrays").is_file():
        return {}
    told = [json.loads(file.read_text()) for file in (store / "shards").glob("*.json")]
    return {one["name"]: one["scans"] for one in sorted((t for t in told if "scans" in t), key=lambda t: t["first"])}


def begun(store: Path, scans: list[str]) -> bool:
    """Whether some of these scans are prepared, and some way is to go."""
    return 0 < sum((store / "scans" / f"{scan}.json").is_file() for scan in scans) < len(scans) - 2


def job_of(store: Path, shard: str) -> str:
    from workbench.runs.spread import jobs_of

    return jobs_of(store / "shards")[shard]


def processes(job: str) -> list[int]:
    """Of a job of an array, by their environment."""
    array, task = job.split("_")
    wanted = {f"SLURM_ARRAY_JOB_ID={array}".encode(), f"SLURM_ARRAY_TASK_ID={task}".encode()}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environment, command = ((folder / name).read_bytes() for name in ("environ", "cmdline"))
            if wanted <= set(environment.split(b"\0")) and b"workbench" in command:
                found.append(int(folder.name))
    return found


def status(folder: Path) -> str:
    process = workbench(folder, "status", "store", stdout=subprocess.PIPE)
    return process.communicate(timeout=60)[0]


def test_a_cohort_is_checked_by_an_array(cluster, tmp_path):
    toy = write_bids(tmp_path / "toy", people=6, spacing=(6, 6, 6), shape=(22, 26, 20))
    whole = run_cohort(CohortConfig(out=tmp_path / "whole", sources=[toy], workers=1))
    flags = ("--out", "cohort", "--sources", toy, "--executor", "slurm", "--shards", 2)
    watcher = workbench(tmp_path, "cohort", *flags)
    wait_for(lambda: (tmp_path / "cohort" / "shards" / "arrays").is_file(), 90)
    assert watcher.wait(120) == 0, watcher.communicate()[1]
    run = Run(tmp_path / "cohort").require_ok()
    assert run.provenance["cohort_fingerprint"] == whole.provenance["cohort_fingerprint"]
    assert not (run.path / "shards").exists() and not (run.path / "parts").exists()
