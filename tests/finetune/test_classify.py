import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.finetune.classify import run_classify
from workbench.finetune.config import ClassifyConfig


def config(study, out, **changes):
    return ClassifyConfig.build(
        {
            "out": out,
            "store": study.store,
            "split": study.split,
            "encoder": study.encoder_run,
            "accelerator": "cpu",
            **changes,
        }
    )


@pytest.mark.parametrize("mode", ["linear", "full"])
def test_a_score_for_every_scan_and_the_split_it_was_in(study, tmp_path, mode):
    training = {"epochs": 1, "learning_rate": 1e-3} if mode == "full" else {}
    run = run_classify(config(study, tmp_path / mode, mode=mode, **training))
    table = run.read_table("predictions")
    assert len(table) == 12 and set(table["split"]) == {"train", "test"}
    assert table["score"].between(0, 1).all() and np.isfinite(table["score"]).all()
    assert ((table["score"] > 0.5) == (table["predicted"] == "M")).all()
    assert run.provenance["positive"] == "M" and run.simulated


def test_full_training_moves_the_encoder_and_frozen_does_not(study, tmp_path):
    from safetensors.torch import load_file

    from workbench.engine.checkpoint import latest_checkpoint
    from workbench.model import load_encoder

    before = load_encoder(study.encoder_run)[0].state_dict()
    for freeze in (False, True):
        run = run_classify(config(study, tmp_path / str(freeze), mode="full", epochs=1, freeze=freeze))
        after = load_file(latest_checkpoint(run.path / "checkpoints") / "objective.safetensors")
        same = all((after[f"encoder.{k}"] == v).all() for k, v in before.items())
        assert same == freeze


def test_a_label_that_is_not_binary_or_not_there_is_refused(study, tmp_path):
    with pytest.raises(WorkbenchError, match="two to 10 classes"):
        run_classify(config(study, tmp_path / "a", target="participant"))
    with pytest.raises(WorkbenchError, match="no column 'iq'"):
        run_classify(config(study, tmp_path / "b", target="iq"))


def test_settings_that_the_linear_probe_does_not_read_are_refused(study, tmp_path):
    with pytest.raises(WorkbenchError, match="epochs: only for other modes than 'linear'"):
        config(study, tmp_path, mode="linear", epochs=3)
