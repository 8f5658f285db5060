"""A batch on a real Slurm of one node, this machine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from tests.batch.templates import write_notebook
from tests.slurm.conftest import release, show, wait_for, workbench
from workbench.batch import batch_status, collect_batch

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(400)]

# counts to `steps`, saves where it is when it is stopped, and goes on from there
COUNT = """
import json, os, time
from pathlib import Path
from workbench.batch import record
from workbench.runs import stop_on_request
state = Path(out) / 'state.json'
state.parent.mkdir(parents=True, exist_ok=True)
step = began = json.loads(state.read_text())['step'] if state.is_file() else 0
with stop_on_request() as stop:
    while step < steps and not stop.asked:
        time.sleep(0.2)
        step += 1
        (state.parent / 'alive').write_text(f'{os.getpid()} {step}')
state.write_text(json.dumps({'step': step}))
if stop.asked:
    raise KeyboardInterrupt
record(out, began=began, step=step, restarts=int(os.environ.get('SLURM_RESTART_COUNT', 0)),
       threads=os.environ['OMP_NUM_THREADS'])
"""


@pytest.fixture
def batch(cluster, tmp_path):
    """A grid of six for Slurm, and the command that submits and watches it."""
    write_notebook(tmp_path / "count.ipynb", COUNT, parameters="seed = 0\nsteps = 10\nout = None")
    (tmp_path / "grid.yaml").write_text(
        "notebook: count.ipynb\nout: b\nexecutor: slurm\ngrid: {seed: [0, 1, 2, 3, 4, 5]}\nparameters: {steps: 60}\n"
        "memory_gb: 0.4\n"
        "slurm: {partition: low, hours: 0.5}\n"
    )
    return tmp_path


def command(folder, *more):
    return workbench(folder, "batch", "grid.yaml", *more)


def test_six_runs_of_which_one_is_preempted_one_out_of_time_and_one_killed(batch):
    watcher, folder = command(batch), batch / "b"
    wait_for(lambda: len(alive(folder)) == 2, 60)  # the node has two cores
    jobs = json.loads((folder / "slurm" / "jobs.json").read_text())

    # a job of a more important partition: Slurm ends one of ours and puts it back into the queue
    subprocess.run(["sbatch", "--partition=high", "--output=/dev/null", "--wrap=sleep 1"], check=True)
    wait_for(lambda: any(s["state"] == "interrupted" for s in statuses(folder).values()), 60)
    preempted = next(name for name, status in statuses(folder).items() if status["state"] == "interrupted")
    assert saved_step(folder, preempted) > 0, "its state was saved"
    show("after the preemption")

    # the signal with which Slurm announces the end of the wall time
    timed_out = wait_for(lambda: next((n for n in alive(folder) if n != preempted), None), 60)
    announce_the_end(jobs[timed_out])
    wait_for(lambda: statuses(folder)[timed_out]["state"] == "interrupted", 60)
    assert saved_step(folder, timed_out) > 0
    show("after the end of one's time")

    # and one is killed without a word, with everything that belongs to it
    killed = wait_for(lambda: next((n for n in alive(folder) if n not in (preempted, timed_out)), None), 90)
    kernel = int(alive(folder)[killed][0])
    os.kill(statuses(folder)[killed]["pid"], signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{kernel}").exists(), 30)  # no orphan
    show("after a kill -9")

    wait_for(lambda: release() or watcher.poll() is not None, 200, every=2)
    said = watcher.communicate()[1]
    assert watcher.returncode == 1, said
    assert "1 of 6 runs failed" in said and f"{killed}: its Slurm job {jobs[killed]} ended" in said
    states = batch_status(folder).set_index("run")["state"]
    assert states.drop(killed).eq("ok").all() and states[killed] == "killed"

    # the same command does only what is missing
    before = {name: status["updated"] for name, status in statuses(folder).items() if name != killed}
    assert command(batch).wait(120) == 0
    after = {name: status["updated"] for name, status in statuses(folder).items() if name != killed}
    assert after == before
    table = collect_batch(folder).set_index("run")
    print(table.drop(columns=["folder", "why"]).to_string())
    assert table["state"].eq("ok").all() and table["step"].eq(60).all() and table["threads"].eq("1").all()
    assert sorted(table["seed"]) == [0, 1, 2, 3, 4, 5]
    for name in (preempted, timed_out):
        assert table["began"][name] > 0 and table["restarts"][name] == 1, "resumed, not begun anew"
    assert table["began"].drop([preempted, timed_out]).eq(0).all()
    pd.testing.assert_frame_equal(
        pd.read_parquet(folder / "results" / "runs.parquet"), table.reset_index(), check_dtype=False
    )
    assert list((folder / "slurm").glob("*.json")) and not list(folder.rglob("*.pkl")), "no pickle, not even submitit's"


def test_the_watcher_may_go_and_come_back_and_nothing_is_submitted_twice(batch):
    short = ("--parameters", "{steps: 25}")
    watcher, folder = command(batch, *short), batch / "b"
    wait_for(lambda: alive(folder), 60)
    watcher.send_signal(signal.SIGINT)
    assert watcher.wait(30) == 130
    assert set(batch_status(folder)["state"]) == {"running", "queued"}, "the jobs stay"
    first = (folder / "slurm" / "jobs.json").read_text()
    assert command(batch, *short).wait(150) == 0
    assert (folder / "slurm" / "jobs.json").read_text() == first
    assert batch_status(folder)["state"].eq("ok").all()


def test_what_slurm_refuses_is_told_with_its_reason(batch):
    process = command(batch, "--slurm.partition", "nowhere")
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 2 and "Slurm refused the jobs" in said and "invalid partition" in said


def announce_the_end(job):
    """Of an array's job Slurm 22.05 says "try again later" once it has sent the signal, and scancel sends it again and
    again; Slurm itself announces the end of the wall time once."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(["scancel", "--signal=USR2", job], check=False, stderr=subprocess.DEVNULL, timeout=0.5)


def alive(folder):
    """Run → (pid of its kernel, step) of the runs whose cell counts right now and has some way to go."""
    found = {}
    for file in folder.glob("runs/*/runs/alive"):
        words = file.read_text().split()
        if len(words) == 2 and 3 < int(words[1]) < 30 and Path(f"/proc/{words[0]}").exists():
            found[file.parts[-3]] = words
    return found


def statuses(folder):
    return {file.parts[-2]: json.loads(file.read_text()) for file in folder.glob("runs/*/status.json")}


def saved_step(folder, name):
    return json.loads((folder / "runs" / name / "runs" / "state.json").read_text())["step"]
