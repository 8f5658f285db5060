"""Pretraining that begins with an encoder which is there."""

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from workbench.cohort import save_split
from workbench.errors import ConfigError, WorkbenchError
from workbench.model import load_encoder
from workbench.pretrain.dry_run import plan_pretrain
from workbench.pretrain.train import run_pretrain

STILL = {"learning_rate": 1e-12, "final_learning_rate": 0.0, "weight_decay": [0.0, 0.0], "epochs": 0.5, "seed": 1}


def weights(folder):
    return load_file(folder / "model" / "encoder.safetensors")


@pytest.fixture(scope="module")
def others(study, tmp_path_factory):
    """A split whose training people are those that the study's encoder has not seen."""
    sides = pd.DataFrame(pd.read_parquet(study.split / "results" / "split.parquet"))
    sides["split"] = sides["split"].map({"train": "test", "test": "train"})
    return save_split(tmp_path_factory.mktemp("others") / "split.parquet", sides)


@pytest.mark.parametrize("objective", [None, {"name": "mae"}, {"name": "simclr"}])
def test_it_begins_with_those_weights_whatever_the_objective(study, others, tmp_path, objective):
    more = {} if objective is None else {"objective": objective}
    run = run_pretrain(study.pretrain(tmp_path / "on", start_from=study.encoder_run, split=others, **STILL, **more))
    before, after = weights(study.encoder_run), weights(run.path)
    assert all(np.allclose(before[name], after[name], atol=1e-6) for name in before)
    fresh = run_pretrain(study.pretrain(tmp_path / "fresh", split=others, **STILL, **more))
    assert not all(np.allclose(before[name], w, atol=1e-3) for name, w in weights(fresh.path).items())


def test_whom_the_first_had_seen_the_second_has_seen(study, others, tmp_path):
    run = run_pretrain(study.pretrain(tmp_path / "on", start_from=study.encoder_run, split=others, **STILL))
    (_, first), (_, card) = load_encoder(study.encoder_run), load_encoder(run.path)
    everybody = set(pd.read_parquet(study.split / "results" / "split.parquet")["participant"])
    assert set(first.participants) < set(card.participants) == everybody
    assert set(first.scans) < set(card.scans) and "begun from pre" in card.objective
    assert "start_from" in run.provenance["inputs"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"encoder": {"preset": "tiny", "image_size": 16, "patch": 8, "registers": 1}},
            "preset micro there, tiny here",
        ),
        ({"encoder": {"preset": "micro", "image_size": 24, "patch": 8, "registers": 1}}, "image_size 16 there"),
        ({"start_from": "nowhere"}, "nowhere"),
        (
            {"start_from": "volta-tiny", "encoder": {"preset": "micro", "image_size": 40, "patch": 8}},
            "prepared otherwise",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_starts(study, tmp_path, changes, words):
    config = study.pretrain(tmp_path / "run", **{"start_from": study.encoder_run, **changes})
    for job in (run_pretrain, plan_pretrain):
        with pytest.raises((ConfigError, WorkbenchError)) as told:
            job(config)
        assert words in str(told.value)
    assert not (tmp_path / "run").exists()
