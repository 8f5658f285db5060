"""What is written for others gives the same features there."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

import workbench as wb
from workbench.dock.exporting import example
from workbench.errors import ConfigError
from workbench.model import EncoderCard, EncoderConfig, fresh_encoder, load_encoder, save_encoder


@pytest.fixture
def own(tmp_path):
    def made(**changes):
        shape = {"preset": "micro", "image_size": 16, "patch": 8, "registers": 0}
        config = EncoderConfig.model_validate(shape | changes)
        encoder = fresh_encoder(config, 1)
        card = EncoderCard(config, "abc", 2.0, ("a/1",), ("f",), "mae", 3, 0, False)
        return save_encoder(tmp_path / "model", encoder.state_dict(), card)

    return made


def test_monai_takes_it_and_gives_its_cls(own, tmp_path):
    from monai.networks.nets import ViT
    from safetensors.torch import load_file

    folder = own(layer_scale=0.5)
    run = wb.export(out=tmp_path / "out", encoder=folder, to="monai_vit")
    arguments = json.loads((run.path / "arguments.json").read_text())
    eps = arguments.pop("norm_eps")
    net = ViT(**arguments)
    missing = net.load_state_dict(load_file(run.path / "monai_vit.safetensors"), strict=False)
    assert not missing.unexpected_keys and all("classification_head" in name for name in missing.missing_keys)
    for module in net.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = eps
    net.classification_head = nn.Identity()
    volume = example((16, 16, 16))
    with torch.no_grad():
        torch.testing.assert_close(net.eval()(volume)[0], load_encoder(folder)[0](volume).cls_BD, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("what", "changes"), [("registers", {"registers": 2}), ("rotary", {"positions": "rotary"})])
def test_what_monai_has_not_is_refused(own, tmp_path, what, changes):
    with pytest.raises(ConfigError, match=what):
        wb.export(out=tmp_path / "out", encoder=own(**changes), to="monai_vit")


def test_a_program_gives_the_same_tokens(own, tmp_path):
    folder = own(registers=2)
    run = wb.export(out=tmp_path / "out", encoder=folder, to="torch_export", size=24)
    assert run.provenance["largest_difference"] < 1e-4
    volume = torch.randn(1, 1, 24, 24, 24)
    with torch.no_grad():
        cls, patches = torch.export.load(run.path / "encoder.pt2").module()(volume)
        tokens = load_encoder(folder)[0](volume)
    torch.testing.assert_close(cls, tokens.cls_BD, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(patches, tokens.patches_BPD, atol=1e-4, rtol=1e-4)


def test_what_is_to_be_shared_needs_a_licence_and_says_whom_it_has_seen(own, tmp_path):
    folder = own()
    with pytest.raises(ConfigError, match="licence"):
        wb.export(out=tmp_path / "no", encoder=folder, to="huggingface")
    run = wb.export(out=tmp_path / "out", encoder=folder, to="huggingface", licence="CC0")
    text = (run.path / "shared" / "README.md").read_text()
    assert text.startswith("---\nlicense: other") and "1 people" in text and "Not for diagnosis" in text
    assert load_encoder(run.path / "shared")[1].participants == ("a/1",)
