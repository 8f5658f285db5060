"""A published checkpoint in, the same features out: each architecture is built by those who published it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from workbench.dock.config import ImportConfig
from workbench.dock.importing import run_import
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


PUBLISHED = {
    "MONAI ViT": Published("monai_vit", monai_vit, lambda n: n.state_dict(), monai_features, {"heads": 4}),
    "MONAI ViT, perceptron": Published(
        "monai_vit",
        lambda: monai_vit(proj_type="perceptron"),
        lambda n: {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in n.state_dict().items()}},
        monai_features,
        {"heads": 4},
    ),
    "MONAI ViT with CLS": Published(
        "monai_vit",
        lambda: monai_vit(classification=True, qkv_bias=True),
        lambda n: n.state_dict(),
        lambda n, v: {"cls": cls_of(n, v)},
        {"heads": 4},
    ),
    "UNETR": Published(
        "monai_vit", unetr, lambda n: n.state_dict(), lambda n, v: monai_features(n.vit, v), {"heads": 4}
    ),
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
            **published.settings,
        )
    )
    encoder, card = load_encoder(run.path)
    tokens = encoder(volume, hidden=(2,) if encoder.config.has_blocks else ())
    ours = {
        "cls": tokens.cls_BD,
        "pooled": tokens.cls_BD,
        "patches": tokens.patches_BPD,
        **{f"hidden {n}": state for n, state in tokens.hidden.items()},
    }
    for name, wanted in published.features(net, volume).items():
        torch.testing.assert_close(ours[name], wanted, atol=1e-4, rtol=1e-4, msg=name)
    keys = run.read_table("keys")
    assert not (keys["fate"] == "missing").any() and (keys.query("fate == 'left'")["told"] != "").all()
    assert set(keys["name"]) >= set() and card.people_unknown and "possibly transductive" in card.seen_words
