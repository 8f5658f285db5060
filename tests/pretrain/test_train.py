import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from workbench.cohort import load_split
from workbench.errors import ConfigError, WorkbenchError
from workbench.model import load_encoder
from workbench.prepare import open_store
from workbench.pretrain.train import run_pretrain
from workbench.runs import Run


def weights(run_folder) -> dict[str, np.ndarray]:
    return load_file(run_folder / "model" / "encoder.safetensors")


def start(config) -> subprocess.Popen:
    """The job in a process of its own, as a user starts it."""
    config.out.parent.mkdir(parents=True, exist_ok=True)
    settings = config.out.with_suffix(".yaml")
    settings.write_text(config.to_yaml())
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "workbench.cli",
            "pretrain",
            "--config",
            str(settings),
            "--checkpoint_minutes",
            "0",
            "--workers",
            "0",
        ],
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
    )


def wait_for_step(config, step: int, process: subprocess.Popen) -> None:
    path, deadline = config.out / "metrics.jsonl", time.monotonic() + 120
    while not (path.is_file() and path.read_text().count("\n") >= step):
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_run_trains_exports_and_knows_whom_it_saw(study):
    run = Run(study.encoder_run)
    metrics = run.metrics()
    assert run.ok and list(metrics["step"]) == list(range(1, len(metrics) + 1))
    assert {
        "loss_cls",
        "loss_patch",
        "loss_reconstruction",
        "cls_entropy",
        "patch_kl",
        "cls_rank",
        "learning_rate",
        "ema",
        "volumes_per_s",
    } <= set(metrics.columns)
    split = load_split(study.split)
    train = set(split.loc[split["split"] == "train", "participant"])
    _, card = load_encoder(study.encoder_run)
    assert set(card.participants) == train and card.simulated and run.simulated
    assert card.preparation == open_store(study.store).fingerprint
    assert list((run.path / "tensorboard").glob("events*"))


def test_training_moves_every_weight_of_the_student(study):
    from safetensors.torch import load_file as load_torch

    from workbench.engine.checkpoint import latest_checkpoint
    from workbench.model import EncoderConfig, fresh_encoder

    state = load_torch(latest_checkpoint(study.encoder_run / "checkpoints") / "objective.safetensors")
    start_weights = fresh_encoder(EncoderConfig(**study.encoder), 0).state_dict()
    prefix = "student.encoder."
    still = [n for n, w in start_weights.items() if (state[prefix + n] == w).all()]
    assert still == []


def test_same_seed_same_weights_and_another_seed_others(study, tmp_path):
    again = run_pretrain(study.pretrain(tmp_path / "again"))
    other = run_pretrain(study.pretrain(tmp_path / "other", seed=1))
    first = weights(study.encoder_run)
    assert all(np.array_equal(first[k], v) for k, v in weights(again.path).items())
    assert any(not np.array_equal(first[k], v) for k, v in weights(other.path).items())


@pytest.mark.parametrize("name", ["volta", "mae", "simclr"])
def test_bf16_trains_near_float32_and_knows_its_gradients(study, tmp_path, name):
    """Through the whole loop: what Fabric does to the inputs of a model in mixed precision is part of it."""
    objective = {} if name == "volta" else {"objective": {"name": name}}
    runs = {
        precision: run_pretrain(study.pretrain(tmp_path / precision, precision=precision, epochs=2, **objective))
        for precision in ("32-true", "bf16-mixed")
    }
    exact, rounded = (runs[p].metrics() for p in ("32-true", "bf16-mixed"))
    assert np.allclose(rounded["loss"], exact["loss"], rtol=0.02) and not np.array_equal(rounded["loss"], exact["loss"])
    shares = rounded.filter(like="gradient_share_").dropna()
    assert len(shares) and np.allclose(shares.sum(axis=1), 1, atol=1e-3)
    assert all(w.dtype == np.float32 for w in weights(runs["bf16-mixed"].path).values())


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile on a CPU needs a C++ compiler")
def test_compiled_blocks_train_as_eager_ones(study, tmp_path):
    runs = {
        compiled: run_pretrain(study.pretrain(tmp_path / str(compiled), epochs=1.0, compile=compiled))
        for compiled in (False, True)
    }
    eager, compiled = (runs[c].metrics() for c in (False, True))
    for name in ("loss_cls", "loss_patch", "loss_reconstruction", "gradient_norm"):
        np.testing.assert_allclose(compiled[name], eager[name], rtol=1e-3, err_msg=name)
    # exported under the names of an encoder that was not compiled: who loads it need not know
    assert weights(runs[True].path).keys() == weights(runs[False].path).keys()
    assert load_encoder(runs[True].path)[0] is not None
    assert Run(runs[True].path).provenance["how"]["compile"] is True


def test_reading_ahead_in_a_process_changes_nothing(study, tmp_path):
    run = run_pretrain(study.pretrain(tmp_path / "ahead", workers=1))
    assert all(np.array_equal(weights(study.encoder_run)[k], v) for k, v in weights(run.path).items())


def test_ctrl_c_saves_says_so_and_the_same_command_continues(study, tmp_path):
    config = study.pretrain(tmp_path / "stopped", epochs=400.0)
    process = start(config)
    wait_for_step(config, 2, process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command continues" in said.decode() and "Traceback" not in said.decode()
    status = Run(config.out).status
    assert status["state"] == "interrupted"
    stopped_at = len(Run(config.out).metrics())
    process = start(config)
    wait_for_step(config, stopped_at + 2, process)
    process.kill()  # twenty of these, and the weights in the end: test_exact.py
    process.wait()
    assert Run(config.out).status["state"] == "killed"
    steps = list(Run(config.out).metrics()["step"])
    assert steps == list(range(1, len(steps) + 1))  # nothing was done twice and nothing left out


def test_a_loss_that_is_not_finite_names_step_and_scans(study, tmp_path):
    config = study.pretrain(tmp_path / "nan", learning_rate=1e30, clip=0.0, epochs=10.0, warmup_epochs=0.0)
    with pytest.raises(WorkbenchError, match=r"(?s)step \d+: the loss is not finite.*learning_rate"):
        run_pretrain(config)
    status = Run(config.out).status
    assert status["state"] == "failed" and "not finite" in status["why"]


def test_other_settings_are_refused_with_the_difference(study, tmp_path):
    run_pretrain(study.pretrain(tmp_path / "run"))
    with pytest.raises(ConfigError, match=r"epochs: 2.0 there, 3.0 now"):
        run_pretrain(study.pretrain(tmp_path / "run", epochs=3.0))


def test_a_finished_run_is_not_done_again(study):
    before = (study.encoder_run / "metrics.jsonl").stat().st_mtime_ns
    assert run_pretrain(study.pretrain(study.encoder_run)).ok
    assert (study.encoder_run / "metrics.jsonl").stat().st_mtime_ns == before


def test_collapse_is_written_into_the_run(study, tmp_path, capsys):
    """A student that can only say what the teacher says, of a teacher that says nothing: temperature far too high."""
    run = run_pretrain(
        study.pretrain(
            tmp_path / "flat",
            epochs=10.0,
            objective={**study.objective, "teacher_temperature": (5.0, 5.0), "student_temperature": 5.0},
        )
    )
    alarm = json.loads((run.path / "provenance.json").read_text())["alarm"]
    assert "uniform" in alarm["why"] and "warning" in capsys.readouterr().err


def test_fewer_scans_than_a_batch_is_an_error_with_a_remedy(study, tmp_path):
    with pytest.raises(WorkbenchError, match="lower --batch_size"):
        run_pretrain(study.pretrain(tmp_path / "big", batch_size=64))


def test_a_split_that_was_made_again_is_no_continuation(study, tmp_path):
    """Same paths, other people: the weights would have seen people whom the card does not list."""
    import shutil

    from workbench.cohort import SplitConfig, run_split

    shutil.copytree(study.split, tmp_path / "split")
    config = study.pretrain(tmp_path / "run", split=tmp_path / "split")
    run = run_pretrain(config)
    run.set_status("interrupted")
    other = SplitConfig(out=tmp_path / "split", cohort=study.cohort, fractions=(0.5, 0.0, 0.5), seed=3)
    run_split(other, overwrite=True)
    with pytest.raises(ConfigError, match=r"(?s)other inputs.*changed since: split.*--overwrite"):
        run_pretrain(config)
    again = run_pretrain(config, overwrite=True)
    _, card = load_encoder(again.path)
    split = load_split(tmp_path / "split")
    assert set(card.participants) == set(split.loc[split["split"] == "train", "participant"])
