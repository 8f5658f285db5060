"""A run that is killed again and again ends in the weights of one that was left alone, bit by bit."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from workbench.pretrain.train import run_pretrain
from workbench.runs import Run

KILLS = 20
GOLDEN = Path(__file__).with_name("golden.json")


def weights(run: Path) -> dict[str, np.ndarray]:
    return load_file(run / "model" / "encoder.safetensors")


def lines(path: Path) -> int:
    return path.read_text().count("\n") if path.is_file() else 0


@pytest.fixture
def zygote():
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("zygote.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
    )
    yield process
    process.kill()
    process.wait()


def test_twenty_kills_at_any_moment_change_nothing(study, tmp_path, zygote):
    rng = np.random.default_rng(int(time.time()))  # other moments in every run of this test
    drop = {**study.encoder, "drop_path": 0.2}
    changes = {"epochs": 40.0, "encoder": drop, "monitor_every": 7, "objective": REMEMBERS, "views": BENT}
    whole = run_pretrain(study.pretrain(tmp_path / "whole", **changes))
    config = study.pretrain(tmp_path / "killed", **changes)
    settings, metrics = tmp_path / "killed.yaml", config.out / "metrics.jsonl"
    settings.write_text(config.to_yaml())
    for kill in range(KILLS):
        in_the_middle_of_a_checkpoint = kill == KILLS // 2
        zygote.stdin.write(f"{settings} {'half' if in_the_middle_of_a_checkpoint else ''}\n")
        zygote.stdin.flush()
        pid = int(zygote.stdout.readline())
        if not in_the_middle_of_a_checkpoint:
            wanted, deadline = lines(metrics) + int(rng.integers(4)), time.monotonic() + 60
            while lines(metrics) < wanted and time.monotonic() < deadline:
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.1))
            os.kill(pid, signal.SIGKILL)
        assert int(zygote.stdout.readline()) == -signal.SIGKILL
        if in_the_middle_of_a_checkpoint:
            assert list((config.out / "checkpoints").glob(".partial-*"))
    assert lines(metrics) < 120  # it was not done before the last kill
    zygote.stdin.write(f"{settings}\n")
    zygote.stdin.flush()
    zygote.stdout.readline()
    assert zygote.stdout.readline() == "0\n"
    run = Run(config.out)
    assert run.ok and not list((config.out / "checkpoints").glob(".partial-*"))
    timed = ["time", "volumes_per_s", "data_wait", "mfu", "memory_gb"]
    told, expected = (r.metrics().drop(columns=timed) for r in (run, whole))
    differing = {
        name: expected["step"][told[name].ne(expected[name]) & ~(told[name].isna() & expected[name].isna())]
        for name in expected
    }
    assert {name: list(steps) for name, steps in differing.items() if len(steps)} == {}  # each step once, and the same
    again, once = weights(run.path), weights(whole.path)
    assert [k for k, v in once.items() if not np.array_equal(again[k], v)] == []


@pytest.mark.parametrize("kind", ["prototypes", "contrast"])
def test_golden_losses(study, tmp_path, kind):
    """20 steps under a fixed seed, as they were when this file was written. Processors round differently, in the last
    digits: the tolerance is for that and for nothing else. Where numbers are meant to change, write the file again:
    ``python -m tests.pretrain.test_exact``."""
    golden = json.loads(GOLDEN.read_text())[kind]
    run = run_pretrain(study.pretrain(tmp_path / "golden", **SETTINGS[kind]))
    losses = run.metrics()[list(golden)]
    assert len(losses) == 20
    for name, values in golden.items():
        np.testing.assert_allclose(losses[name], values, rtol=2e-4, err_msg=name)


# a queue and running centres are state too
REMEMBERS = {"alignment_cls": "contrast", "queue": 8, "contrast_hidden": 32, "contrast_width": 16, "head_hidden": 32}
BENT = {"bend": 0.02, "contrast": 0.5, "drawn_contrast": 0.5}
CONTRAST = {"contrast_hidden": 32, "contrast_width": 16}
SHARED = {"epochs": 20 / 3, "seed": 3, "learning_rate": 0.02}
SETTINGS = {
    "prototypes": {**SHARED, "views": {"local_crops": 1, "local_size": 8}},
    "contrast": {**SHARED, "views": {"local_crops": 1, "local_size": 8, **BENT}, "objective": CONTRAST},
}


if __name__ == "__main__":
    import tempfile

    from tests.conftest import Study, make_study

    folder = Path(tempfile.mkdtemp())
    made: Study = make_study(folder)
    golden = {}
    for kind, settings in SETTINGS.items():
        table = run_pretrain(made.pretrain(folder / kind, **settings)).metrics()
        names = [c for c in table if c.startswith("loss_")] + ["gradient_norm"]
        golden[kind] = {n: table[n].tolist() for n in names}
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")
