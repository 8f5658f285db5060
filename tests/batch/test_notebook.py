import json
import signal
import subprocess
import sys

import nbformat
import pytest

from tests.batch.templates import running, wait_for, write_notebook
from workbench.batch import NotebookConfig, run_notebook
from workbench.batch.notebook import read_parameters
from workbench.errors import ConfigError, WorkbenchError
from workbench.runs import Run


def said(folder):
    cells = nbformat.read(folder / "notebook.ipynb", 4).cells
    return "".join(
        output.text for cell in cells for output in cell.get("outputs", []) if output.output_type == "stream"
    )


@pytest.fixture
def config(tmp_path):
    notebook = write_notebook(tmp_path / "n.ipynb", "print('values', a, word, items)")
    return NotebookConfig(out=tmp_path / "run", notebook=notebook, parameters=("a=2.5", "items=[3]"))


def test_runs_with_the_values_given_and_keeps_a_record(config):
    before = config.notebook.read_bytes()
    run = run_notebook(config)
    assert run.ok and run.job == "notebook"
    assert said(run.path) == "values 2.5 x [3]\n"
    assert run.provenance["parameters"] == {"a": 2.5, "items": [3]}
    assert "values 2.5 x [3]" in (run.path / "notebook.html").read_text()
    assert config.notebook.read_bytes() == before


def test_again_it_is_there_unless_the_notebook_has_changed(config):
    updated = run_notebook(config).status["updated"], (config.out / "notebook.ipynb").stat().st_mtime_ns
    run = run_notebook(config)
    assert (run.status["updated"], (run.path / "notebook.ipynb").stat().st_mtime_ns) == updated
    write_notebook(config.notebook, "print('changed', a)")
    assert said(run_notebook(config).path) == "changed 2.5\n"


def test_unknown_parameters_are_named_before_anything_starts(config, tmp_path):
    wrong = config.model_copy(update={"parameters": ("epoch=1", "a=1", "sead=2")})
    with pytest.raises(ConfigError, match=r"epoch, sead(.|\n)*a, word, out, items"):
        run_notebook(wrong)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["missing.ipynb", "notes.txt", "broken.ipynb"])
def test_what_is_no_notebook_is_refused(tmp_path, name):
    if name != "missing.ipynb":
        (tmp_path / name).write_text("{")
    with pytest.raises(ConfigError, match=name):
        run_notebook(NotebookConfig(out=tmp_path / "run", notebook=tmp_path / name))
    assert not (tmp_path / "run").exists()


def test_a_failing_cell_is_told_and_left_behind_and_can_be_corrected(config):
    write_notebook(config.notebook, "print('so far')", "raise ValueError('the scale is off')", "print('never')")
    with pytest.raises(WorkbenchError, match=r"run/notebook\.ipynb(.|\n)*ValueError: the scale is off"):
        run_notebook(config)
    run = Run(config.out)
    assert run.status["state"] == "failed"
    assert "ValueError: the scale is off" in run.status["why"]
    assert said(run.path) == "so far\n"
    html = (run.path / "notebook.html").read_text()
    assert "the scale is off" in html
    write_notebook(config.notebook, "print('corrected')")
    assert run_notebook(config).ok


def test_a_kernel_that_dies_is_a_failure(config):
    write_notebook(config.notebook, "import os\nos._exit(7)")
    with pytest.raises(WorkbenchError, match="notebook failed"):
        run_notebook(config)
    assert Run(config.out).status["state"] == "failed"


def test_a_kernel_that_is_interrupted_by_itself_is_no_failure(config):
    write_notebook(config.notebook, "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        run_notebook(config)
    assert Run(config.out).status["state"] == "interrupted"


def test_the_runs_it_made_are_known_and_simulated_ones_mark_it(config, tmp_path):
    made = (
        "from typing import ClassVar\nfrom pathlib import Path\nfrom workbench.runs import JobConfig, start_run\n"
        "class C(JobConfig):\n    job: ClassVar[str] = 'toy'\n"
        "with start_run(C(out=Path(out) / 'one'), simulated=True) as run:\n    pass"
    )
    write_notebook(config.notebook, made)
    config = config.model_copy(update={"parameters": (f"out={tmp_path / 'made'}",)})
    run = run_notebook(config)
    assert run.simulated
    assert run.provenance["runs"] == {str(tmp_path / "made" / "one"): "toy"}
    (tmp_path / "made" / "one" / "status.json").unlink()
    (tmp_path / "made" / "one" / "config.yaml").unlink()
    (tmp_path / "made" / "one" / "provenance.json").unlink()
    assert run_notebook(config).provenance["runs"] == {str(tmp_path / "made" / "one"): "toy"}, "made again"
    assert (tmp_path / "made" / "one" / "status.json").is_file()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stop_ends_every_process_and_the_status_is_true(tmp_path, stop):
    cell = (
        f"import os, time\nfrom pathlib import Path\nPath(r'{tmp_path}/pid').write_text(str(os.getpid()))\n"
        f"try:\n    time.sleep(120)\nexcept KeyboardInterrupt:\n    Path(r'{tmp_path}/told').touch()\n    raise"
    )
    notebook = write_notebook(tmp_path / "n.ipynb", cell)
    code = (
        "import sys\nfrom workbench.batch import *\n"
        "try:\n    run_notebook(NotebookConfig(out=sys.argv[1], notebook=sys.argv[2]))\n"
        "except KeyboardInterrupt:\n    sys.exit(130)"
    )
    # a session of its own, as a terminal has one: what is signalled is this process alone
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "run"), str(notebook)],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(lambda: (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text())
    kernel = int((tmp_path / "pid").read_text())
    process.send_signal(stop)
    assert process.wait(60) == (-signal.SIGKILL if stop == signal.SIGKILL else 130)
    assert Run(tmp_path / "run").status["state"] == ("killed" if stop == signal.SIGKILL else "interrupted")
    wait_for(lambda: not running(kernel))
    assert (tmp_path / "told").exists() == (stop != signal.SIGKILL), "a job in the cell can save its state"


def test_an_html_report_asks_nothing_of_the_network(config):
    write_notebook(
        config.notebook,
        "from ipywidgets import IntSlider\nfrom IPython.display import display\n"
        "display(IntSlider())\nprint('beside a widget')",
    )
    html = (run_notebook(config).path / "notebook.html").read_text()
    assert "beside a widget" in html
    for address in ("cdnjs", "unpkg", "<script src", "<link rel"):
        assert address not in html
    assert json.loads((config.out / "status.json").read_text())["state"] == "ok"


def test_parameters_are_read_without_papermill_and_alike(tmp_path):
    import papermill

    cell = (
        "a = 1  # a number\nb: float = 2.5\nc = [1,\n     'x']\nd = 2 ** 3\ne = None\nf = {'k': (1, 2)}\n"
        "g = 'a # b'\nprint(a)"
    )
    notebook = write_notebook(tmp_path / "n.ipynb", "z = 1", parameters=cell)
    found = read_parameters(notebook)
    assert found == {"a": 1, "b": 2.5, "c": [1, "x"], "d": "2 ** 3", "e": None, "f": {"k": (1, 2)}, "g": "a # b"}
    assert list(found) == list(papermill.inspect_notebook(str(notebook)))
