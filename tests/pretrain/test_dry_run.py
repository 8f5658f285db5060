import re

import pytest
import torch

from workbench.model.config import EncoderConfig
from workbench.pretrain.dry_run import kept_bytes, plan_pretrain
from workbench.pretrain.objectives.volta_settings import VoltaSettings
from workbench.pretrain.train import run_pretrain
from workbench.runs import find_runs


def test_the_plan_tells_what_it_measured_and_writes_nothing(study, tmp_path):
    told = plan_pretrain(study.pretrain(tmp_path / "run"))
    assert "6 scans of 6 people at 3 mm (simulated)" in told and "6 steps of 2 scans" in told
    assert re.search(r"[\d,]+ parameters in the encoder, [\d,]+ trained; 8 patch tokens", told)
    assert re.search(r"about \d+\.\d\d s a step \(3 measured on this cpu", told)
    assert re.search(r"GB at 2 scans a backward pass .* largest batch without accumulation is about \d+", told)
    assert not find_runs(tmp_path)


def test_operations_are_those_the_run_reports(study, tmp_path):
    config = study.pretrain(tmp_path / "run")
    run = run_pretrain(config)
    told = re.search(r"([\d.,]+) GFLOP each", plan_pretrain(study.pretrain(tmp_path / "other")))
    assert float(told[1].replace(",", "")) == pytest.approx(run.provenance["how"]["flops_a_step"] / 1e9, abs=0.06)


@pytest.mark.parametrize("recompute", [False, True])
def test_memory_of_a_batch_grows_with_the_batch_and_shrinks_when_blocks_are_recomputed(recompute):
    encoder = (
        VoltaSettings(prototypes_cls=8, prototypes_patch=8, head_hidden=16, head_bottleneck=8)
        .build(EncoderConfig(preset="micro", image_size=32, patch=8))
        .exported.requires_grad_(True)
    )
    encoder.recompute = recompute

    def kept(scans: int) -> float:
        return kept_bytes(lambda: encoder(torch.randn(scans, 1, 32, 32, 32)).all_BND.sum(), encoder)[1]

    assert kept(8) == pytest.approx(2 * kept(4), rel=0.05)
    if recompute:
        encoder.recompute = False
        whole = kept(4)
        encoder.recompute = True
        assert kept(4) < 0.4 * whole
