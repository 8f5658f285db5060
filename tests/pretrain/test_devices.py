"""Two processes on one machine, over gloo, say what one says: same data, same losses, same monitors."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from workbench.errors import ConfigError
from workbench.pretrain.devices import launch
from workbench.pretrain.train import run_pretrain
from workbench.runs import Run

# settings that would show a process that counts, draws or centres by itself
EVERYTHING = {
    "objective": {
        "prototypes_cls": 32,
        "prototypes_patch": 32,
        "head_hidden": 32,
        "head_bottleneck": 16,
        "patch_tokens": "masked",
        "weight_koleo": 0.1,
        "centre_momentum": 0.5,
    },
    "mask": {"align": 4, "ratio": 0.7},
    "views": {"local_crops": 1, "local_size": 8},
    "probe": ("site",),
}
SINKHORN = {
    "objective": {
        "prototypes_cls": 32,
        "prototypes_patch": 32,
        "head_hidden": 32,
        "head_bottleneck": 16,
        "centring": "sinkhorn",
    },
    "accumulate": 2,
}
BENT = {"bend": 0.02, "contrast": 0.5, "drawn_contrast": 0.5}
CONTRAST = {
    "objective": {"alignment_cls": "contrast", "queue": 6, "contrast_hidden": 32, "contrast_width": 16},
    "views": BENT,
}
POOLED = {
    "objective": {"alignment_cls": "pooled", "contrast_hidden": 32, "contrast_width": 16, "brain_share": 0.1},
    "views": {**BENT, "local_crops": 1, "local_size": 8},
}
SIMCLR = {"objective": {"name": "simclr", "projection_hidden": 32, "projection": 16}}


BY_DDP = {
    "prototypes": EVERYTHING,
    "contrast": CONTRAST,
    "pooled": POOLED,
    "sinkhorn": SINKHORN,
    "simclr": SIMCLR,
}


def both(study, settings):
    """What a training by one process and one by two have in common."""
    return {
        "batch_size": 4,
        "monitor_every": 1,
        "learning_rate": 0.05,
        "epochs": 3.0,
        **settings,
        "encoder": {**study.encoder, "drop_path": 0.3},
    }


def started(*command: str) -> str:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=500, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def by_two(study, tmp_path_factory):
    """Runs of two processes, by name."""
    root, files = tmp_path_factory.mktemp("two"), []
    for name, settings in BY_DDP.items():
        files.append(root / f"{name}.yaml")
        config = study.pretrain(root / name, **both(study, settings))
        files[-1].write_text(config.to_yaml())
    started(str(Path(__file__).parent / "one_after_the_other.py"), *map(str, files))
    return {name: Run(root / name) for name in BY_DDP}


def is_as_of_one(two: Run, one: Run) -> None:
    assert two.provenance["how"]["processes"] == 2
    ours, theirs = one.metrics(), two.metrics()
    compared = [c for c in ours if c.startswith(("loss", "cls_", "patch_", "gradient_norm", "probe"))]
    assert len(compared) >= 4 and len(theirs) == len(ours)
    for name in compared:
        np.testing.assert_allclose(theirs[name], ours[name], rtol=2e-3, atol=2e-4, err_msg=name)


@pytest.mark.parametrize("name", BY_DDP)
def test_two_processes_give_the_losses_of_one(study, by_two, tmp_path, name):
    is_as_of_one(by_two[name], run_pretrain(study.pretrain(tmp_path / "one", **both(study, BY_DDP[name]))))


def test_so_do_two_that_share_out_the_weights_from_the_command_line(study, tmp_path):
    settings = both(study, EVERYTHING)
    one = run_pretrain(study.pretrain(tmp_path / "one", **settings))
    config = study.pretrain(tmp_path / "two", **settings)
    config.out.with_suffix(".yaml").write_text(config.to_yaml())
    flags = ["--workers", "0", "--accelerator", "cpu", "--devices", "2", "--strategy", "fsdp"]
    told = started("-m", "workbench.cli", "pretrain", "--config", str(config.out.with_suffix(".yaml")), *flags)
    assert told.count("pretrain: ok") == 1  # one voice
    is_as_of_one(Run(config.out), one)


def test_a_batch_that_cannot_be_shared_out_is_refused(study, tmp_path):
    with pytest.raises(ConfigError, match="multiple of devices x nodes x accumulate"):
        launch(study.pretrain(tmp_path / "run", batch_size=3, devices=2))
