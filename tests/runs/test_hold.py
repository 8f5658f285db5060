"""One writer at a time: in races, across pid namespaces, after a power cut, and whatever the clock says."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest

from workbench.errors import WorkbenchError
from workbench.runs import JobConfig, Run, hold, start_run
from workbench.runs.folder import write_json
from workbench.runs.start import _require_ours


class Toy(JobConfig):
    job: ClassVar[str] = "toy"


def run_once(out: str, seconds: float, go: Any, results: Any) -> None:
    go.wait()
    try:
        with start_run(Toy(out=Path(out))):
            time.sleep(seconds)
        results.put("ran")
    except WorkbenchError as error:
        results.put(error.what)


def race(out: Path, processes: int) -> list[str]:
    context = multiprocessing.get_context("fork")
    go, results = context.Event(), context.Queue()
    children = [context.Process(target=run_once, args=(str(out), 2.0, go, results)) for _ in range(processes)]
    for child in children:
        child.start()
    go.set()
    said = [results.get(timeout=60) for _ in children]
    for child in children:
        child.join()
    return said


@pytest.mark.parametrize("before", ["nothing", "a finished run", "a killed run"])
def test_of_several_at_once_exactly_one_runs(tmp_path: Path, before: str) -> None:
    for turn in range(2):
        out = tmp_path / str(turn)
        if before != "nothing":
            with start_run(Toy(out=out)) as run:
                pass
        if before == "a killed run":
            run.set_status("running")
            (out / "status.json").write_text(json.dumps({**run.status, "state": "running", "began": "1"}))
            (out / hold.LOCK).write_text(json.dumps({**hold._myself("x"), "pid": 4_000_000, "began": "1"}))
        said = race(out, 5)
        assert said.count("ran") == 1, said
        assert sum("is being written by another process" in word for word in said) == 4
        assert Run(out).ok and not (out / hold.LOCK).exists()


def test_a_folder_that_is_just_being_made_is_never_taken_for_a_strangers(tmp_path: Path) -> None:
    """Who comes a moment later finds first nothing, then a status: never files of which nothing is known."""

    def make() -> None:
        for turn in range(400):
            (tmp_path / str(turn)).mkdir()
            write_json(tmp_path / str(turn) / "status.json", {})
            (tmp_path / str(turn) / "config.yaml").touch()

    maker = threading.Thread(target=make)
    maker.start()
    for turn in range(400):
        while not (tmp_path / str(turn) / "config.yaml").exists():
            _require_ours(tmp_path / str(turn), overwrite=False)
    maker.join()


CHILD = """
import sys, time
from pathlib import Path
from tests.runs.test_hold import Toy
from workbench.runs import start_run
with start_run(Toy(out=Path(sys.argv[1]))) as run:
    print("started", flush=True)
    time.sleep(60)
"""
ATTEMPT = """
import sys
from pathlib import Path
from tests.runs.test_hold import Toy
from workbench.errors import WorkbenchError
from workbench.runs import Run, start_run
print(Run(sys.argv[1]).status["state"])
try:
    with start_run(Toy(out=Path(sys.argv[1]))):
        print("ran")
except WorkbenchError as error:
    print(error)
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def start_child(out: Path, *before: str) -> subprocess.Popen[bytes]:
    words = [*before, sys.executable, "-c", CHILD, str(out)]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, env=ENVIRONMENT, start_new_session=True)
    assert child.stdout is not None and child.stdout.readline() == b"started\n"
    return child


def attempt(out: Path, *before: str) -> str:
    words = [*before, sys.executable, "-c", ATTEMPT, str(out)]
    return subprocess.run(words, stdout=subprocess.PIPE, env=ENVIRONMENT, text=True, timeout=120, check=True).stdout


def test_the_refusal_names_who_where_since_when_and_the_way_out(tmp_path: Path) -> None:
    child = start_child(tmp_path / "run")
    try:
        with pytest.raises(WorkbenchError) as told, start_run(Toy(out=tmp_path / "run")):
            pass
        said = str(told.value)
        assert f"process {child.pid}" in said and os.uname().nodename in said and "since 20" in said
        assert str(tmp_path / "run" / hold.LOCK) in told.value.remedy
        (tmp_path / "run" / hold.LOCK).unlink()  # as the remedy says
        with start_run(Toy(out=tmp_path / "run")) as run:
            assert run.status["pid"] == os.getpid()
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def test_this_very_process_too_holds_a_folder_once(tmp_path: Path) -> None:
    with (
        start_run(Toy(out=tmp_path / "run")),
        pytest.raises(WorkbenchError, match="this very process"),
        start_run(Toy(out=tmp_path / "run")),
    ):
        pass
    assert Run(tmp_path / "run").ok


def test_a_fork_keeps_nothing_of_its_parents_hold(tmp_path: Path) -> None:
    """A child that outlives its parent (a loader's worker) must not hold the folder for ever."""
    with start_run(Toy(out=tmp_path / "run")):
        fork = os.fork()
        if fork == 0:
            time.sleep(60)
            os._exit(0)
    try:
        with start_run(Toy(out=tmp_path / "run")):
            pass
    finally:
        os.kill(fork, signal.SIGKILL)
        os.waitpid(fork, 0)


def may_unshare(*flags: str) -> bool:
    return (
        shutil.which("unshare") is not None
        and subprocess.run(["unshare", *flags, "true"], capture_output=True).returncode == 0
    )


PID_NAMESPACE = ("--pid", "--fork", "--mount-proc", "--kill-child")
needs_unshare = pytest.mark.skipif(not may_unshare(*PID_NAMESPACE), reason="pid namespaces are not permitted here")


@needs_unshare
def test_across_pid_namespaces(tmp_path: Path) -> None:
    """A container sees other pids: that the holder's number is unknown to it says nothing."""
    child = start_child(tmp_path / "run")
    try:
        said = attempt(tmp_path / "run", "unshare", *PID_NAMESPACE)
        assert said.startswith("running\n") and "is being written by another process" in said
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    assert attempt(tmp_path / "run", "unshare", *PID_NAMESPACE) == "killed\nran\n"


@needs_unshare
def test_a_holder_within_a_pid_namespace(tmp_path: Path) -> None:
    """Its number, 1, is that of a living process out here."""
    child = start_child(tmp_path / "run", "unshare", *PID_NAMESPACE)
    try:
        assert Run(tmp_path / "run").status["state"] == "running"
        with pytest.raises(WorkbenchError, match="another process"), start_run(Toy(out=tmp_path / "run")):
            pass
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    deadline = time.monotonic() + 30
    while Run(tmp_path / "run").status["state"] != "killed" and time.monotonic() < deadline:
        time.sleep(0.05)  # what was waited for is unshare; the process within ends a moment later
    with start_run(Toy(out=tmp_path / "run")):
        pass


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold, "BEAT", 0.1)
    monkeypatch.setattr(hold, "WATCH", 1.0)
    monkeypatch.setattr(hold, "SETTLE", 0.3)


def stale(out: Path, **changed: Any) -> None:
    """What a run leaves that was killed on another machine, or before a power cut."""
    with start_run(Toy(out=out)) as run:
        pass
    status = {**run.status, "state": "running", "boot": "another"}
    (out / "status.json").write_text(json.dumps(status))
    (out / hold.LOCK).write_text(json.dumps({**hold._myself("x"), "boot": "another", "host": "n7", **changed}))


def test_a_lock_of_another_boot_is_watched_and_then_taken(
    tmp_path: Path, quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    stale(tmp_path / "run")
    with start_run(Toy(out=tmp_path / "run")) as run:
        assert run.status["state"] == "running"
    assert run.ok and "n7" in capsys.readouterr().err


@pytest.mark.parametrize("jump", [-3600, 3600])
def test_a_clock_that_jumps_neither_blocks_the_owner_nor_lets_another_in(
    tmp_path: Path, quick: None, jump: float
) -> None:
    stale(tmp_path / "run")
    now = time.time() - jump  # the lock was written when the clock was elsewhere
    os.utime(tmp_path / "run" / hold.LOCK, (now, now))
    assert Run(tmp_path / "run").status["state"] == "killed"
    with start_run(Toy(out=tmp_path / "run")):
        os.utime(tmp_path / "run" / hold.LOCK, (now, now))
        time.sleep(0.3)  # a beat
        assert attempt(tmp_path / "run").startswith("running\n")


def test_a_holder_on_another_machine_is_seen_by_its_beat(tmp_path: Path, quick: None) -> None:
    """Where the lock of the file system does not reach the other node, as with some mounts of NFS and Lustre."""
    stale(tmp_path / "run")
    go = multiprocessing.get_context("fork").Event()

    def beat() -> None:
        while not go.wait(0.1):
            (tmp_path / "run" / hold.LOCK).write_text(
                json.dumps({**hold._myself("x"), "boot": "another", "host": "n7", "beat": time.monotonic()})
            )

    other = multiprocessing.get_context("fork").Process(target=beat)
    other.start()
    try:
        time.sleep(0.3)
        assert Run(tmp_path / "run").status["state"] == "running"
        with pytest.raises(WorkbenchError, match="on n7"), start_run(Toy(out=tmp_path / "run")):
            pass
    finally:
        go.set()
        other.join()
    with start_run(Toy(out=tmp_path / "run")):
        pass


def test_where_the_file_system_has_no_locks_one_of_two_runs(
    tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(hold.fcntl, "flock", unsupported)  # the forks of the race inherit it
    said = race(tmp_path / "run", 3)
    assert said.count("ran") == 1, said
    stale(tmp_path / "other")
    with start_run(Toy(out=tmp_path / "other")):
        pass


def test_who_lost_the_folder_to_another_stops(tmp_path: Path, quick: None) -> None:
    with pytest.raises(KeyboardInterrupt), start_run(Toy(out=tmp_path / "run")):
        (tmp_path / "run" / hold.LOCK).unlink()
        (tmp_path / "run" / hold.LOCK).write_text(json.dumps({**hold._myself("another"), "host": "n7"}))
        time.sleep(5)
    assert json.loads((tmp_path / "run" / hold.LOCK).read_text())["host"] == "n7"


def test_the_beat_writes_no_less_and_no_more_than_its_line(tmp_path: Path, quick: None) -> None:
    with start_run(Toy(out=tmp_path / "run")):
        seen = set()
        for _ in range(20):
            time.sleep(0.03)
            seen.add(json.loads((tmp_path / "run" / hold.LOCK).read_text())["beat"])
        assert len(seen) > 2


def test_a_run_that_another_version_left_running_is_known_by_its_pid(tmp_path: Path) -> None:
    with start_run(Toy(out=tmp_path / "run")) as run:
        pass
    run.set_status("running")
    status = json.loads((run.path / "status.json").read_text())
    del status["lock"]  # versions before locks had none
    (run.path / "status.json").write_text(json.dumps(status))
    assert run.status["state"] == "running"
    with pytest.raises(WorkbenchError, match="another process"), start_run(Toy(out=tmp_path / "run")):
        pass
    (run.path / "status.json").write_text(json.dumps({**status, "began": "1"}))  # pids come round again
    assert run.status["state"] == "killed"
    with start_run(Toy(out=tmp_path / "run")):
        pass
