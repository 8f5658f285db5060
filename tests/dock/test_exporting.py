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
from workbench.model.foreign.conv import ResEncShape


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


def test_monais_unetr_takes_an_imported_vit_out_again_and_has_the_same_features(tmp_path):
    """In by `import`, out by `export`, into another UNETR: its ViT and its answer are those of the first."""
    from monai.networks.nets import UNETR
    from safetensors.torch import load_file

    def unetr(seed):
        torch.manual_seed(seed)
        return UNETR(1, 2, 16, feature_size=4, hidden_size=24, mlp_dim=32, num_heads=2).eval()

    first, second = unetr(0), unetr(1)
    torch.save(first.state_dict(), tmp_path / "unetr.pt")
    imported = wb.import_(out=tmp_path / "in", weights=tmp_path / "unetr.pt", format="monai_vit", heads=2, spacing=1.0)
    run = wb.export(out=tmp_path / "out", encoder=imported.path, to="monai_vit")
    weights = load_file(run.path / "monai_vit.safetensors")
    known = second.load_state_dict({f"vit.{name}": value for name, value in weights.items()}, strict=False)
    assert not [name for name in known.missing_keys if name.startswith("vit.")] and not known.unexpected_keys
    volume = example((16, 16, 16))
    with torch.no_grad():
        (tokens, hidden), (wanted, states) = second.vit(volume), first.vit(volume)
        for found, right in zip((tokens, *hidden), (wanted, *states), strict=True):
            torch.testing.assert_close(found, right, atol=1e-4, rtol=1e-4)
        rest = {name: value for name, value in first.state_dict().items() if not name.startswith("vit.")}
        second.load_state_dict(rest, strict=False)
        torch.testing.assert_close(second(volume), first(volume), atol=1e-4, rtol=1e-4)


def test_nnunet_finds_every_tensor_it_asks_for_and_ours_come_back(tmp_path):
    """Of a residual encoder; what asks for them is, by hand, nnU-Net's own network (docs/formats.md)."""
    torch.manual_seed(0)
    shape = ResEncShape(format="x", title="small", widths=(4, 8, 8), blocks=(1, 2, 1), image_size=16)
    encoder = shape.build()
    card = EncoderCard(shape, "abc", 1.0, (), (), "mae", 3, 0, False)
    save_encoder(tmp_path / "model", encoder.state_dict(), card)
    run = wb.export(out=tmp_path / "out", encoder=tmp_path / "model", to="nnunet")
    weights = torch.load(run.path / "checkpoint_pretrained.pth", weights_only=True)["network_weights"]
    assert torch.equal(weights["encoder.stem.convs.0.conv.weight"], encoder.stem.conv.weight)
    twice = [name for name in weights if name.startswith("encoder.")]
    assert all(torch.equal(weights[name], weights[f"decoder.{name}"]) for name in twice)
    assert torch.equal(
        weights["decoder.stages.1.convs.0.conv.bias"], weights["decoder.stages.1.convs.0.all_modules.0.bias"]
    )
    assert not [name for name in weights if "seg_layers" in name]
    plans = json.loads((run.path / "plans-architecture.json").read_text())["arch_kwargs"]
    assert plans["features_per_stage"] == [4, 8, 8] and plans["strides"] == [[1, 1, 1], [2, 2, 2], [2, 2, 2]]
    back = wb.import_(
        out=tmp_path / "back",
        weights=run.path / "checkpoint_pretrained.pth",
        format="nnssl_resenc",
        inside="network_weights.encoder",
    )
    volume = example((16, 16, 16))
    with torch.no_grad():
        again = load_encoder(back.path)[0].levels(volume)
        for found, right in zip(again, encoder.eval().levels(volume), strict=True):
            torch.testing.assert_close(found, right)


def test_only_a_residual_encoder_goes_into_nnunet(own, tmp_path):
    with pytest.raises(ConfigError, match="cannot hold this encoder"):
        wb.export(out=tmp_path / "out", encoder=own(), to="nnunet")
