"""What a person sees in a live kernel: a bar with and without ipywidgets, and a cell that can be interrupted."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

from workbench.runs import Run

REPO = Path(__file__).parents[2]
PRETRAIN = """
from pathlib import Path
from workbench.pretrain import PretrainConfig, run_pretrain
config = PretrainConfig.build({values})
run = run_pretrain(config)
print('state', run.status['state'], 'step', int(run.metrics()['step'].max()))
"""


class Kernel:
    """A real kernel, and what its cells said."""

    def __init__(self):
        self.manager, self.client = start_new_kernel(
            kernel_name="python3", env={**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}
        )

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def run(self, code, interrupt_when=None, patience=120):
        """Outputs of a cell: ``(streams, kinds of the rich outputs, error)``."""
        asked = self.client.execute(code)
        text, kinds, error, end = "", set(), None, time.monotonic() + patience
        while time.monotonic() < end:
            if interrupt_when is not None and interrupt_when():
                interrupt_when = None
                self.manager.interrupt_kernel()
            try:
                message = self.client.get_iopub_msg(timeout=0.2)
            except Exception:
                continue
            if message["parent_header"].get("msg_id") != asked:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                text += content["text"]
            elif kind == "display_data":
                kinds |= set(content["data"])
            elif kind == "error":
                error = f"{content['ename']}: {content['evalue']}\n" + "\n".join(content["traceback"])
            elif kind == "status" and content["execution_state"] == "idle":
                return text, kinds, error
        raise AssertionError(f"the cell did not end: {text}")


@pytest.fixture(scope="module")
def kernel():
    kernel = Kernel()
    yield kernel
    kernel.close()


def cell(config):
    return PRETRAIN.format(values=repr(config.model_dump(mode="json")))


def test_interrupting_a_cell_stops_the_run_cleanly_says_how_to_resume_and_the_same_cell_goes_on(
    kernel, study, tmp_path
):
    code = cell(study.pretrain(tmp_path / "run", epochs=400.0))
    metrics = tmp_path / "run" / "metrics.jsonl"
    started = time.monotonic()
    text, kinds, error = kernel.run(code, lambda: metrics.is_file() and len(metrics.read_text().splitlines()) > 5)
    assert error is not None and error.startswith("KeyboardInterrupt"), text
    first, *shown = error.splitlines()
    assert "run the same cell or command again to continue" in first
    assert shown == [first], "no traceback: nothing went wrong"
    assert "application/vnd.jupyter.widget-view+json" in kinds, "the bar is a widget"
    run = Run(tmp_path / "run")
    assert run.status["state"] == "interrupted" and time.monotonic() - started < 100
    step = int(run.metrics()["step"].max())
    assert list((tmp_path / "run" / "checkpoints").iterdir())
    text, _, error = kernel.run(code, lambda: int(Run(tmp_path / "run").metrics()["step"].max()) > step + 2)
    steps = Run(tmp_path / "run").metrics()["step"].dropna()
    assert steps.max() > step and steps.is_monotonic_increasing, "it went on, it did not begin anew"


def test_where_somebody_looks_on_there_is_a_menu(kernel):
    text, kinds, error = kernel.run(
        "from workbench.plots.cells import choose, interactive\nprint(interactive())\n"
        "choose(str.upper, ['one', 'two'], 'two')"
    )
    assert error is None and text.startswith("True")
    assert "application/vnd.jupyter.widget-view+json" in kinds


def test_without_ipywidgets_the_bar_is_text():
    bare = Kernel()
    try:
        text, kinds, error = bare.run(
            "import sys\nsys.modules['ipywidgets'] = None\nfrom tqdm.auto import tqdm\n"
            "for _ in tqdm(range(3), desc='walk'):\n    pass"
        )
    finally:
        bare.close()
    assert error is None and "walk: 100%" in text and "3/3" in text
    assert "application/vnd.jupyter.widget-view+json" not in kinds
