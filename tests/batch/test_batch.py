"""A grid of 12 with two planted failures, killed once in the middle: it ends as it should, nothing is done twice."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.batch.templates import running, wait_for, write_notebook
from workbench import cli
from workbench.batch import BatchConfig, batch_status, collect_batch, record, run_batch
from workbench.errors import RunsFailed, WorkbenchError
from workbench.runs import Run, find_runs

REPO = Path(__file__).parents[2]
PARAMETERS = "a = 1\nword = 'x'\nout = None\nstop_at = None"
# a made run with a table, a recorded result, a planted failure, and a process that outlives its parent
CELL = """
import os, subprocess, sys, time
from pathlib import Path
from typing import ClassVar
from workbench.batch import record
from workbench.runs import JobConfig, start_run

class Toy(JobConfig):
    job: ClassVar[str] = 'toy'

if stop_at and Path(stop_at).exists():
    sleeper = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'], start_new_session=True)
    (Path(out).parent / 'pids').write_text(f'{os.getpid()} {sleeper.pid}')
    time.sleep(300)
with open(Path(out).parent / 'counted', 'a') as file:
    file.write('x')
if (a, word) in ((3, 'y'), (5, 'x')):
    raise ValueError(f'planted at {a}')
with start_run(Toy(out=Path(out) / 'toy'), simulated=(a == 1)) as run:
    if a < 3 and word == 'x':  # pandas alone takes longer than all the rest
        import pandas as pd
        run.write_table('scores', pd.DataFrame({'person': ['p', 'q'], 'score': [a, 2 * a]}))
record(out, square=a ** 2, threads=os.environ['OMP_NUM_THREADS'])
"""
FAILING = {(3, "y"), (5, "x")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("batch")
    write_notebook(folder / "n.ipynb", CELL, parameters=PARAMETERS)
    (folder / "grid.yaml").write_text(
        f"notebook: n.ipynb\nout: b\nprocesses: 2\nthreads: 1\nparameters: {{stop_at: {folder}/stop}}\n"
        "grid: {a: [0, 1, 2, 3, 4, 5], word: [x, y]}\n"
    )
    return folder


def batch(folder, **settings):
    """The command in a process of its own session, as a terminal has one."""
    return subprocess.Popen(
        [sys.executable, "-m", "workbench.cli", "batch", "grid.yaml"],
        cwd=folder,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        stderr=subprocess.PIPE,
        start_new_session=True,
        **settings,
    )


@pytest.fixture(scope="module")
def ended(folder):
    """What the command left and said after it was killed in the middle and given again."""
    process = batch(folder)
    runs = folder / "b" / "runs"
    wait_for(lambda: len(list(runs.glob("*/runs/recorded.json"))) >= 3)
    (folder / "stop").touch()
    wait_for(lambda: len(list(runs.glob("*/pids"))) == 2)
    pids = [int(pid) for file in runs.glob("*/pids") for pid in file.read_text().split()]
    process.kill()
    process.wait()
    process.stderr.close()
    states = batch_status(folder / "b")["state"].value_counts().to_dict()
    assert states["killed"] == 2 and states["ok"] >= 2 and states["new"] >= 3
    wait_for(lambda: not any(running(pid) for pid in pids[::2]))  # the kernels end by themselves
    assert all(running(pid) for pid in pids[1::2]), "what they started does not"
    (folder / "stop").unlink()
    again = batch(folder)
    said = again.communicate()[1]
    assert not any(running(pid) for pid in pids), "strays are ended at the next start"
    return again.returncode, said


def test_the_exit_status_and_the_last_words_tell_of_the_failures(ended, folder):
    status, said = ended
    assert status == 1
    assert "b: 2 of 12 runs failed" in said
    assert "ValueError: planted at 3" in said and "ValueError: planted at 5" in said
    assert "12/12" in said and "failed=2" in said, "one bar over all"
    assert Run(folder / "b").status["state"] == "failed"


def test_everything_else_is_well_and_in_one_table(ended, folder, capsys):
    table = batch_status(folder / "b")
    assert len(table) == 12
    bad = table["state"] == "failed"
    assert {(row.a, row.word) for row in table[bad].itertuples()} == FAILING
    assert table[~bad]["state"].eq("ok").all() and (table[~bad]["square"] == table[~bad]["a"] ** 2).all()
    assert table[~bad]["threads"].eq("1").all()
    assert table[bad]["square"].isna().all() and set(table[bad]["why"]) == {
        "ValueError: planted at 3",
        "ValueError: planted at 5",
    }
    assert (table[~bad]["simulated"] == (table[~bad]["a"] == 1)).all() and Run(folder / "b").simulated
    assert table["minutes"].gt(0).all() and table["memory_gb"].gt(0.01).sum() > 6
    written = Run(folder / "b").read_table("runs")
    pd.testing.assert_frame_equal(written, table, check_dtype=False)
    assert pd.read_csv(folder / "b" / "results" / "runs.csv")["square"].tolist()[:5] == [0, 0, 1, 1, 4]
    assert cli.main(["batch", "status", str(folder / "b")]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "12 runs: 10 ok, 2 failed"


def test_a_failure_leaves_its_traceback_and_its_notebook(ended, folder):
    failed = batch_status(folder / "b").query("state == 'failed'")["folder"]
    for path in failed:
        run = folder / "b" / path
        assert "raise ValueError(f'planted at {a}')" in (run / "traceback.txt").read_text()
        assert "\x1b" not in (run / "traceback.txt").read_text()
        assert "planted at" in (run / "notebook.html").read_text() and (run / "notebook.ipynb").is_file()


def test_no_run_was_done_twice_but_those_that_were_under_way(ended, folder):
    for run in (folder / "b" / "runs").iterdir():
        assert (run / "counted").read_text() == "x"


def test_a_run_of_the_batch_can_be_done_again_by_itself(ended, folder):
    run = next(run for name, run in find_runs(folder).items() if run.job == "notebook" and run.ok)
    config = cli.config_from("notebook", ["--config", str(run.path / "config.yaml"), "--out", "other"])[0]
    assert config.notebook == folder / "n.ipynb" and config.values["a"] == run.provenance["parameters"]["a"]


def test_the_runs_of_a_batch_are_found_by_whoever_lists_runs(ended, folder):
    jobs = pd.Series([run.job for run in find_runs(folder).values()]).value_counts()
    assert jobs.to_dict() == {"notebook": 12, "toy": 10, "batch": 1}


def test_the_explorer_shows_the_table_of_the_batch(ended, folder):
    from workbench.explorer.comparison.batch_view import BatchView
    from workbench.explorer.session.state import ExplorerState

    view = BatchView(ExplorerState(folder))
    assert list(view.table.titles.values()) == list(batch_status(folder / "b").columns)
    assert view.table.value["column 1"].value_counts().to_dict() == {"ok": 10, "failed": 2}
    assert "n = 12 runs: 10 ok, 2 failed" in view._hint.object and "imulated" in view._hint.object


def test_the_tables_of_all_runs_become_one(ended, folder, capsys):
    assert cli.main(["batch", "collect", str(folder / "b"), "--table", "scores"]) == 1
    assert "6 rows" in capsys.readouterr().out
    table = Run(folder / "b").read_table("scores")
    assert list(table.columns) == ["run", "from", "stop_at", "a", "word", "person", "score"]
    assert (table["score"] == table["a"] * (1 + (table["person"] == "q"))).all() and set(table["from"]) == {"toy"}
    with pytest.raises(WorkbenchError, match="no run of this batch has a table 'nothing'"):
        collect_batch(folder / "b", table="nothing")


def test_only_what_failed_or_is_missing_is_done_again_and_a_grid_may_grow(ended, folder, monkeypatch):
    monkeypatch.chdir(folder)
    status = {run.name: json.loads((run / "status.json").read_text()) for run in (folder / "b" / "runs").iterdir()}
    config = cli.config_from("batch", ["grid.yaml"])[0]
    grown = BatchConfig.build({**config.model_dump(), "grid": {"a": [1, 2, 5, 99], "word": ["x"]}})
    with pytest.raises(RunsFailed, match="1 of 4 runs failed"):
        run_batch(grown)
    table = batch_status(folder / "b").set_index("a")
    assert table["state"].to_dict() == {1: "ok", 2: "ok", 5: "failed", 99: "ok"}, "others are kept, and not told of"
    counted = {a: (folder / "b" / path / "counted").read_text() for a, path in table["folder"].items()}
    assert counted == {1: "x", 2: "x", 5: "xx", 99: "x"}
    again = {run.name: json.loads((run / "status.json").read_text()) for run in (folder / "b" / "runs").iterdir()}
    assert {name for name in status if again[name] != status[name]} == {Path(table["folder"][5]).name}
    made = folder / "b" / table["folder"][2] / "runs" / "toy"
    made.rename(folder / "moved_away")
    assert run_batch(BatchConfig.build({**grown.model_dump(), "grid": {"a": [2], "word": ["x"]}})).ok
    assert Run(made).ok, "what a run had made was gone, so it was done again"


def test_ctrl_c_stops_the_runs_and_leaves_a_state_that_resumes(folder, ended, tmp_path):
    write_notebook(
        tmp_path / "n.ipynb",
        "import time\nfrom pathlib import Path\nPath(out).mkdir(parents=True)\n"
        "Path(out, 'there').touch()\ntry:\n    time.sleep(300)\n"
        "except KeyboardInterrupt:\n    time.sleep(6)\n    Path(out, 'saved').touch()\n    raise",
        parameters=PARAMETERS,
    )
    (tmp_path / "grid.yaml").write_text("notebook: n.ipynb\nout: b\nprocesses: 2\ngrid: {a: [1, 2]}\n")
    process = batch(tmp_path)
    wait_for(lambda: len(list((tmp_path / "b").glob("runs/*/runs/there"))) == 2)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1]
    assert process.returncode == 130 and "run the same command again" in said
    assert set(batch_status(tmp_path / "b")["state"]) == {"interrupted"}
    saved = list((tmp_path / "b").glob("runs/*/runs/saved"))
    assert len(saved) == 2, "a job in a cell has the time it takes to save its state"


def test_limits_of_time_and_memory(tmp_path, folder, ended):
    write_notebook(
        tmp_path / "n.ipynb",
        "import time\nif word == 'big':\n    big = bytearray(900_000_000)\n"
        "    time.sleep(300)\nif word == 'long':\n    time.sleep(300)",
        parameters="word = 'x'",
    )
    config = BatchConfig(
        out=tmp_path / "b",
        notebook=tmp_path / "n.ipynb",
        processes=2,
        minutes=0.25,
        memory_gb=0.8,
        grid={"word": ["big", "long", "x"]},
    )
    with pytest.raises(RunsFailed, match="2 of 3"):
        run_batch(config)
    why = batch_status(tmp_path / "b").set_index("word")["why"]
    assert why["big"].startswith("memory limit:") and why["big"].endswith("0.8 GB allowed")
    assert why["long"] == "time limit: ended after 0.25 minutes"
    long = tmp_path / "b" / batch_status(tmp_path / "b").set_index("word")["folder"]["long"]
    assert "KeyboardInterrupt" in (long / "notebook.html").read_text()


def test_devices_and_cores_are_shared_out(monkeypatch):
    from workbench.batch.local import environment

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    config = BatchConfig(out="o", notebook="n.ipynb", processes=2, devices=("0", "1", "2", "5"))
    assert [environment(config, place)["CUDA_VISIBLE_DEVICES"] for place in (0, 1)] == ["0,1", "2,5"]
    assert int(environment(config, 0)["OMP_NUM_THREADS"]) >= 1
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert "OMP_NUM_THREADS" not in environment(config, 0), "the user's own choice"
    assert environment(config.model_copy(update={"threads": 3}), 0)["OMP_NUM_THREADS"] == "3"
    assert "CUDA_VISIBLE_DEVICES" not in environment(BatchConfig(out="o", notebook="n.ipynb"), 0)


def test_what_is_recorded_is_one_cell_each(tmp_path):
    import numpy as np

    record(tmp_path / "new", a=np.float32(0.5), b=np.int64(3), c=None, d=True, e="x", f=float("nan"), g=np.bool_(True))
    record(tmp_path / "new", a=0.25)
    assert json.loads((tmp_path / "new" / "recorded.json").read_text()) == {
        "a": 0.25,
        "b": 3,
        "c": None,
        "d": True,
        "e": "x",
        "f": None,
        "g": True,
    }
    with pytest.raises(WorkbenchError, match="record: a is a list"):
        record(tmp_path / "new", a=[1])


@pytest.mark.parametrize("what", ["status", "collect"])
def test_a_folder_that_is_no_batch_is_told(what, tmp_path, capsys):
    assert cli.main(["batch", what, str(tmp_path)]) == 2
    assert "not the folder of a batch" in capsys.readouterr().err
