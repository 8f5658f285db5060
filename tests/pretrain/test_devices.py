"""Two processes on one machine, over gloo, say what one says: same data, same losses, same monitors."""

import os
import subprocess
import sys

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


def in_two_processes(config, *flags: str) -> Run:
    settings = config.out.with_suffix(".yaml")
    settings.write_text(config.to_yaml())
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "workbench.cli",
            "pretrain",
            "--config",
            str(settings),
            "--workers",
            "0",
            "--accelerator",
            "cpu",
            "--devices",
            "2",
            *flags,
        ],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("pretrain: ok") == 1  # one voice
    return Run(config.out)


@pytest.mark.parametrize(
    ("settings", "strategy"),
    [
        (EVERYTHING, "ddp"),
        (CONTRAST, "ddp"),
        (POOLED, "ddp"),
        (SINKHORN, "ddp"),
        (SIMCLR, "ddp"),
        (EVERYTHING, "fsdp"),
    ],
    ids=["prototypes", "contrast", "pooled", "sinkhorn", "simclr", "fsdp"],
)
def test_two_processes_give_the_losses_of_one(study, tmp_path, settings, strategy):
    both = {
        "batch_size": 4,
        "monitor_every": 1,
        "learning_rate": 0.05,
        "epochs": 3.0,
        **settings,
        "encoder": {**study.encoder, "drop_path": 0.3},
    }
    one = run_pretrain(study.pretrain(tmp_path / "one", **both))
    two = in_two_processes(study.pretrain(tmp_path / "two", **both), "--strategy", strategy)
    assert two.provenance["how"]["processes"] == 2
    ours, theirs = one.metrics(), two.metrics()
    compared = [c for c in ours if c.startswith(("loss", "cls_", "patch_", "gradient_norm", "probe"))]
    assert len(compared) >= 4 and len(theirs) == len(ours)
    for name in compared:
        np.testing.assert_allclose(theirs[name], ours[name], rtol=2e-3, atol=2e-4, err_msg=name)


def test_a_batch_that_cannot_be_shared_out_is_refused(study, tmp_path):
    with pytest.raises(ConfigError, match="multiple of devices x nodes x accumulate"):
        launch(study.pretrain(tmp_path / "run", batch_size=3, devices=2))
