"""A run folder tells the truth about its run: what it was asked and how it ended; other folders are left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pytest

from workbench.errors import ConfigError, WorkbenchError
from workbench.runs import JobConfig, Run, find_runs, finished, replacing, start_run


class Toy(JobConfig):
    job: ClassVar[str] = "toy"

    rate: float = 0.5
    """How fast."""


def test_a_good_run(tmp_path: Path) -> None:
    config = Toy(out=tmp_path / "run")
    assert finished(config) is None
    with start_run(config, seed=3, simulated=True) as run:
        assert run.status["state"] == "running" and finished(config) is None
        run.log(step=1, loss=2.0)
        run.log(step=2, loss=1.0)
        run.write_table("scans", pd.DataFrame({"a": [1, 2]}))
        run.note(participants=["p"])
    again = Run(tmp_path / "run").require_ok()
    assert again.ok and again.job == "toy" and again.simulated and again.name == "run"
    assert again.config == {"job": "toy", "out": str(tmp_path / "run"), "rate": 0.5}
    assert again.tables() == ["scans"] and again.read_table("scans")["a"].tolist() == [1, 2]
    assert again.metrics()["loss"].tolist() == [2.0, 1.0]
    assert again.provenance["seed"] == 3 and again.provenance["participants"] == ["p"]
    assert again.provenance["packages"]["numpy"] and again.provenance["workbench"]
    found = finished(config)
    assert found is not None and found.path == config.out
    assert finished(Toy(out=tmp_path / "run", rate=1)) is None


def test_provenance_names_neither_host_nor_user(tmp_path: Path) -> None:
    import getpass
    import platform

    with start_run(Toy(out=tmp_path / "run")) as run:
        facts = json.loads((run.path / "provenance.json").read_text())
    assert facts.pop("command") is not None
    assert platform.node() not in str(facts.values()) and f"'{getpass.getuser()}'" not in str(facts.values())


def test_other_settings_are_refused_with_the_difference(tmp_path: Path) -> None:
    with start_run(Toy(out=tmp_path / "run")):
        pass
    with pytest.raises(ConfigError, match=r"rate: 0\.5 there, 2\.0 now"), start_run(Toy(out=tmp_path / "run", rate=2)):
        pass
    assert Run(tmp_path / "run").config["rate"] == 0.5 and Run(tmp_path / "run").ok
    (tmp_path / "run" / "left.txt").touch()
    with start_run(Toy(out=tmp_path / "run", rate=2), overwrite=True):
        pass
    assert Run(tmp_path / "run").config["rate"] == 2 and not (tmp_path / "run" / "left.txt").exists()


def test_a_moved_run_is_still_the_same_run(tmp_path: Path) -> None:
    with start_run(Toy(out=tmp_path / "here")):
        pass
    (tmp_path / "here").rename(tmp_path / "there")
    assert finished(Toy(out=tmp_path / "there")) is not None


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_is_no_run_is_never_touched(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError), start_run(Toy(out=tmp_path / "home"), overwrite=overwrite):
        pass
    assert [p.name for p in (tmp_path / "home").iterdir()] == ["thesis.txt"]


def test_a_failure_says_why_and_can_be_continued(tmp_path: Path) -> None:
    config = Toy(out=tmp_path / "run")
    with pytest.raises(ZeroDivisionError), start_run(config) as run:
        run.note(seen=1)
        raise ZeroDivisionError("by zero")
    status = Run(config.out).status
    assert status["state"] == "failed" and "by zero" in status["why"]
    with pytest.raises(WorkbenchError, match="by zero"):
        Run(config.out).require_ok()
    with start_run(config):
        pass
    assert Run(config.out).ok and Run(config.out).provenance["seen"] == 1


def test_ctrl_c_is_an_interruption_not_a_failure(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), start_run(Toy(out=tmp_path / "run")):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert Run(tmp_path / "run").status["state"] == "interrupted"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.runs.test_folder import Toy
from workbench.runs import start_run
with start_run(Toy(out=Path({out!r}))) as run:
    print("started", flush=True)
    time.sleep(60)
"""


def test_a_killed_run_is_seen_to_be_killed(tmp_path: Path) -> None:
    code = CHILD.format(root=str(Path(__file__).parents[2]), out=str(tmp_path / "run"))
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"started\n"
    run = Run(tmp_path / "run")
    assert run.status["state"] == "running"
    with pytest.raises(WorkbenchError, match="another process"), start_run(Toy(out=tmp_path / "run")):
        pass
    child.kill()
    child.wait()
    assert run.status["state"] == "killed" and not run.ok
    with pytest.raises(WorkbenchError, match="its state is killed"):
        run.require_ok()
    with start_run(Toy(out=tmp_path / "run")):  # and can be taken up again
        pass
    assert run.ok


def test_a_half_written_metric_is_left_out(tmp_path: Path) -> None:
    with start_run(Toy(out=tmp_path / "run")) as run:
        run.log(step=1)
        with open(run.path / "metrics.jsonl", "a") as file:
            file.write('{"step": 2, "lo')
    assert run.metrics()["step"].tolist() == [1]


@pytest.mark.parametrize(
    "line", [b"[1]", b'{"step": null}', b'{"step": "a"}', b"9" * 5000, b"\xff\xfe", b"[" * 100_000]
)
def test_what_is_no_metric_does_not_keep_a_run_from_being_resumed(tmp_path: Path, line: bytes) -> None:
    with start_run(Toy(out=tmp_path / "run")) as run:
        run.log(step=1, loss=0.5)
        run.log(step=9)
    path = run.path / "metrics.jsonl"
    first, second = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([first, line, second, b'{"step"']))
    run.rewind(5)
    assert path.read_bytes() == first + b"\n" and run.metrics()["loss"].tolist() == [0.5]


def test_a_folder_that_may_not_be_entered_hides_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "shut/b"):
        with start_run(Toy(out=tmp_path / name)):
            pass
    real = os.stat

    def stat(path: Any, *args: Any, **named: Any) -> os.stat_result:  # root may enter everywhere
        if "shut" in Path(os.fsdecode(path)).parent.parts:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **named)

    monkeypatch.setattr(os, "stat", stat)
    assert list(find_runs(tmp_path)) == ["a"]


def test_a_run_whose_name_is_not_utf_8_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from workbench.cli import main

    with start_run(Toy(out=tmp_path / "a")):
        pass
    (tmp_path / "a").rename(tmp_path / os.fsdecode(b"\xe9t\xe9"))  # as a program of an older age named it
    ((name, run),) = find_runs(tmp_path).items()
    assert name == run.name == "\\udce9t\\udce9" and run.ok
    assert main(["runs", str(tmp_path)]) == 0 and name in capsys.readouterr().out
    with pytest.raises(ConfigError, match="is not UTF-8"):
        Toy.build({"out": run.path})


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    with start_run(Toy(out=tmp_path / "run")) as run:
        run.write_table("scans", pd.DataFrame({"a": [1]}))
    for name in ("nothing", "../scans", "../../run/results/scans"):
        with pytest.raises(WorkbenchError, match="it has: scans"):
            run.read_table(name)


def test_find_runs_below_a_root(tmp_path: Path) -> None:
    for name in ("embed", "study/fold0", "study/fold1", "a/b/c/d/too-deep"):
        with start_run(Toy(out=tmp_path / name)):
            pass
    (tmp_path / "notes").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "embed")
    with start_run(Toy(out=tmp_path / "embed" / "volumes" / "inner")):  # a run is not searched for runs
        pass
    assert list(find_runs(tmp_path)) == ["embed", "study/fold0", "study/fold1"]
    assert list(find_runs(tmp_path / "embed")) == ["."]
    assert find_runs(tmp_path / "absent") == {}


def test_replacing_leaves_the_old_file_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["file.txt"]
    with replacing(path) as partial:
        partial.write_text("new")
    assert path.read_text() == "new"


def test_something_else_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="not a run folder"):
        Run(tmp_path)
    (tmp_path / "status.json").write_text("{")
    with pytest.raises(WorkbenchError, match="not JSON"):
        _ = Run(tmp_path).status


DAMAGES = {
    "a YAML that is not UTF-8": ("config.yaml", b"job: toy\nname: \xe9\n"),
    "a YAML of another kind": ("config.yaml", b"- a list\n"),
    "a YAML with a date that is none": ("config.yaml", b"job: 2001-99-99\n"),
    "a status that is a list": ("status.json", b"[]"),
    "a state that is a list": ("status.json", b'{"state": []}'),
    "a status that says nothing": ("status.json", b"{}"),
    "a status that is deep": ("status.json", b"[" * 100_000),
    "running since never": ("status.json", b'{"state": "running", "updated": [], "pid": "x", "slurm": 3, "boot": {}}'),
    "a provenance that is half": ("provenance.json", b'{"simul'),
    "no provenance": ("provenance.json", None),
    "zeros": ("status.json", bytes(500)),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_one_damaged_run_hides_no_other(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    from workbench.cli import main

    for name in ("a", "b", "c"):
        with start_run(Toy(out=tmp_path / name)):
            pass
    name, content = DAMAGES[kind]
    if content is None:
        (tmp_path / "b" / name).unlink()
    else:
        (tmp_path / "b" / name).write_bytes(content)
    told = {name: run.told() for name, run in find_runs(tmp_path).items()}
    assert told["a"]["state"] == told["c"]["state"] == "ok"
    assert told["b"]["state"] == "killed" if "running" in kind else "damaged" and name in told["b"]["why"]
    assert main(["runs", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and told["b"]["state"] in lines[1]
    with start_run(Toy(out=tmp_path / "b"), overwrite=True) as run:  # as the remedy says
        pass
    assert run.told()["state"] == "ok"


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(400) + b"PAR1", b"text"])
def test_a_table_that_is_none_is_told_without_arrows_words(tmp_path: Path, content: bytes) -> None:
    with start_run(Toy(out=tmp_path / "run")) as run:
        run.write_table("scans", pd.DataFrame({"a": [1]}))
    (run.path / "results" / "scans.parquet").write_bytes(content)
    with pytest.raises(WorkbenchError, match="cannot be read as a table") as told:
        run.read_table("scans")
    assert told.value.cause and told.value.remedy
