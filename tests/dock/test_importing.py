"""A published checkpoint in, the same features out: each architecture is built by those who published it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from workbench.dock.config import ImportConfig
from workbench.dock.importing import run_import
from workbench.dock.table import FORMATS
from workbench.errors import ConfigError, WorkbenchError
from workbench.model.export import load_encoder

EDGE = 32


@dataclass
class Published:
    """A network as its authors build it, what they save, and what they take for its features."""

    format: str
    build: Callable[[], nn.Module]
    save: Callable[[nn.Module], Any]
    features: Callable[[nn.Module, Tensor], dict[str, Tensor]]
    settings: dict[str, Any] = field(default_factory=dict)


def monai_vit(**changes: Any) -> nn.Module:
    from monai.networks.nets import ViT

    return ViT(1, EDGE, 16, hidden_size=48, mlp_dim=96, num_layers=3, num_heads=4, **changes)


def monai_features(net: nn.Module, volume: Tensor) -> dict[str, Tensor]:
    tokens, states = net(volume)
    return {"patches": tokens, "pooled": tokens.mean(1), "hidden 2": states[1]}


def unetr() -> nn.Module:
    from monai.networks.nets import UNETR

    return UNETR(1, 3, EDGE, feature_size=4, hidden_size=48, mlp_dim=64, num_heads=4, qkv_bias=True)


def swin() -> nn.Module:
    from monai.networks.nets import SwinUNETR

    return SwinUNETR(1, 2, feature_size=12)


def swin_features(net: Any, volume: Tensor) -> dict[str, Tensor]:
    deepest = net.swinViT(volume, True)[4]
    return {"patches": deepest.flatten(2).transpose(1, 2), "pooled": deepest.mean((2, 3, 4))}


def older_names(net: nn.Module) -> dict[str, Any]:
    """As the SSL weights of 2022 are written."""
    names = {n: n.replace("linear1", "fc1").replace("linear2", "fc2") for n in net.swinViT.state_dict()}  # type: ignore[union-attr]
    return {"state_dict": {f"module.{names[n]}": v for n, v in net.swinViT.state_dict().items()}}  # type: ignore[union-attr]


def resnet() -> nn.Module:
    from monai.networks.nets import resnet18

    return resnet18(spatial_dims=3, n_input_channels=1, num_classes=2)


def resnet_features(net: Any, volume: Tensor) -> dict[str, Tensor]:
    head, net.fc = net.fc, nn.Identity()
    out = net(volume)
    net.fc = head
    return {"pooled": out}


def simclr(net: nn.Module) -> dict[str, Any]:
    own = {n: v for n, v in net.state_dict().items() if not n.startswith("fc.")}
    return {
        "epoch": 1,
        "model_state_dict": {f"encoder.{n}": v for n, v in own.items()} | {"projector.0.weight": torch.zeros(2, 2)},
        "optimizer_state_dict": {"state": {0: {"step": torch.tensor(1.0)}}},
    }


def by_slice(net: nn.Module, volume: Tensor) -> dict[str, Tensor]:
    tokens = torch.stack([net(volume[..., z])[0] for z in range(EDGE)], dim=2)  # (1, P, Z, D)
    return {"patches": tokens.flatten(1, 2), "pooled": tokens.mean((1, 2))}


VIT = {"heads": 4}
PUBLISHED = {
    "MONAI ViT": Published("monai_vit", monai_vit, lambda n: n.state_dict(), monai_features, VIT),
    "MONAI ViT, perceptron, wrapped": Published(
        "monai_vit",
        lambda: monai_vit(proj_type="perceptron"),
        lambda n: {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in n.state_dict().items()}},
        monai_features,
        VIT,
    ),
    "MONAI ViT with CLS": Published(
        "monai_vit",
        lambda: monai_vit(classification=True, qkv_bias=True),
        lambda n: n.state_dict(),
        lambda n, v: {"cls": cls_of(n, v)},
        VIT,
    ),
    "UNETR": Published("monai_vit", unetr, lambda n: n.state_dict(), lambda n, v: monai_features(n.vit, v), VIT),
    "BrainIAC": Published(
        "brainiac",
        monai_vit,
        lambda n: {"state_dict": {f"backbone.{k}": v for k, v in n.state_dict().items()}},
        lambda n, v: {"cls": n(v)[0][:, 0]},
        VIT,
    ),
    "MONAI ViT of pictures": Published(
        "monai_vit", lambda: monai_vit(spatial_dims=2), lambda n: n.state_dict(), by_slice, VIT
    ),
    "Swin UNETR": Published("swin_unetr", swin, lambda n: n.state_dict(), swin_features),
    "Swin UNETR, SSL": Published("swin_unetr", swin, older_names, swin_features),
    "SimCLR ResNet-18": Published("simclr_resnet", resnet, simclr, resnet_features),
}


def cls_of(net: Any, volume: Tensor) -> Tensor:
    head, net.classification_head = net.classification_head, nn.Identity()
    out = net(volume)[0]
    net.classification_head = head
    return out


@pytest.fixture(params=PUBLISHED, ids=str)
def case(request, tmp_path: Path) -> tuple[Published, nn.Module, Path]:
    published = PUBLISHED[request.param]
    torch.manual_seed(3)
    net = published.build().eval()
    for parameter in net.parameters():  # nothing may be left as it was begun: zeros and ones hide a key
        nn.init.normal_(parameter, std=0.08)
    for name, buffer in net.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    torch.save(published.save(net), tmp_path / "weights.pt")
    return published, net, tmp_path


@torch.no_grad()
def test_features_are_those_of_the_published_network(case):
    published, net, folder = case
    volume = torch.randn(1, 1, EDGE, EDGE, EDGE)
    run = run_import(
        ImportConfig(
            out=folder / "encoder",
            weights=folder / "weights.pt",
            format=published.format,
            intensities="zscore",
            enlarge=1,
            **published.settings,
        )
    )
    encoder, card = load_encoder(run.path)
    gives = FORMATS[published.format].gives
    if encoder.config.patch_xyz[2] > 1:  # not of pictures, which stand in the same row
        assert gives.startswith("attention") == (encoder.config.heads > 0), gives
        assert ("pyramid" in gives) == bool(encoder.config.pyramid) and encoder.config.pooling.rstrip(",") in gives
    tokens = encoder(volume, hidden=(2,) if encoder.config.has_blocks else ())
    ours = {"cls": tokens.cls_BD, "pooled": tokens.cls_BD, "patches": tokens.patches_BPD}
    ours |= {f"hidden {n}": state for n, state in tokens.hidden.items()}
    for name, wanted in published.features(net, volume).items():
        torch.testing.assert_close(ours[name], wanted, atol=1e-4, rtol=1e-4, msg=name)
    keys = run.read_table("keys")
    assert not (keys["fate"] == "missing").any() and (keys.query("fate == 'left'")["told"] != "").all()
    assert card.people_unknown and "possibly transductive" in card.seen_words


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.save(monai_vit().state_dict(), tmp_path / "weights.pt")
    return tmp_path / "weights.pt"


def imported(weights: Path, **settings: Any) -> Any:
    values = {"out": weights.parent / "encoder", "weights": weights, "format": "monai_vit", "heads": 4}
    return run_import(ImportConfig.build(values | settings))


def test_another_form_is_refused_and_the_nearest_is_named(weights):
    with pytest.raises(WorkbenchError, match="not of the form 'swin_unetr'") as refused:
        imported(weights, format="swin_unetr", heads=None)
    assert "nearest format is monai_vit" in str(refused.value)


def test_a_tensor_that_nobody_knows_is_refused_unless_it_is_said_to_be_left(weights):
    tensors = torch.load(weights, weights_only=True)
    torch.save(tensors | {"extra.weight": torch.zeros(2)}, weights)
    with pytest.raises(WorkbenchError, match=r"extra\.weight is not known"):
        imported(weights)
    keys = imported(weights, leave=("extra.*",)).read_table("keys").set_index("name")
    assert keys.loc["extra.weight", "fate"] == "left" and "--leave" in keys.loc["extra.weight", "told"]


def test_a_missing_tensor_is_named(weights):
    tensors = torch.load(weights, weights_only=True)
    del tensors["blocks.1.norm2.bias"]
    torch.save(tensors, weights)
    with pytest.raises(WorkbenchError, match=r"blocks\.1\.norm2\.bias is missing"):
        imported(weights)


def test_nothing_is_unpickled(weights):
    torch.save({"model": monai_vit()}, weights)
    with pytest.raises(WorkbenchError, match="without pickle") as refused:
        imported(weights)
    assert "state_dict" in str(refused.value)


def test_who_was_seen_is_known_where_somebody_says_so(weights, tmp_path):
    (tmp_path / "people.txt").write_text("site/sub-01\nsite/sub-02\n")
    run = imported(weights, people=tmp_path / "people.txt")
    card = load_encoder(run.path)[1]
    assert card.participants == ("site/sub-01", "site/sub-02") and not card.people_unknown
    (tmp_path / "people.txt").write_text("nobody\n")
    with pytest.raises(ConfigError, match="name nobody"):
        imported(weights, people=tmp_path / "people.txt", out=tmp_path / "other")


def test_what_is_coarser_than_its_voxels_is_made_finer(weights):
    run = imported(weights, spacing=2.0, enlarge=2)
    encoder, card = load_encoder(run.path)
    assert card.config.patch_xyz == (8, 8, 8) and card.config.size_xyz == (16, 16, 16)
    assert encoder(torch.randn(1, 1, 16, 8, 8)).grid_xyz == (2, 1, 1)
    assert any("without detail" in told for told in run.provenance["told"])


def test_settings_that_do_not_fit_the_weights_take_no_memory(weights):
    folder = imported(weights).path / "model"
    facts = json.loads((folder / "config.json").read_text())
    facts["config"] |= {"width": 4096, "depth": 64, "hidden": 16384}  # 52 GB
    (folder / "config.json").write_text(json.dumps(facts))
    with pytest.raises(WorkbenchError, match="do not fit"):
        load_encoder(folder)
    facts["config"] |= {"width": 10**6}
    (folder / "config.json").write_text(json.dumps(facts))
    with pytest.raises(WorkbenchError, match="cannot be read"):
        load_encoder(folder)
