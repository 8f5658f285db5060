"""An imported encoder goes where our own go, and says what it cannot do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import workbench as wb
from workbench.analysis.embed.job import with_seen
from workbench.errors import ConfigError, WorkbenchError
from workbench.found import as_text
from workbench.model import load_encoder
from workbench.study.cells.plan import Plan
from workbench.study.job import plan_all_data
from workbench.study.report.words import arm_words, caveats

KINDS = ("ViT", "U-Net")


def unet_weights() -> dict[str, torch.Tensor]:
    """The names of AMAES's U-Net, small."""
    tensors, before = {}, 1
    for width, stage in zip((2, 4, 8, 16, 32), ("in_conv", *(f"encoder_conv{n}" for n in (1, 2, 3, 4))), strict=True):
        for unit in ("conv1", "conv2"):
            conv, norm = nn.Conv3d(before, width, 3), nn.InstanceNorm3d(width, affine=True)
            for part, module in (("conv", conv), ("norm", norm)):
                tensors |= {f"encoder.{stage}.{unit}.{part}.{k}": v for k, v in module.state_dict().items()}
            before = width
    return tensors


@pytest.fixture(scope="module")
def dock(study, tmp_path_factory) -> Any:
    """A ViT and a U-Net as others would have saved them, imported for the store of the study."""
    from monai.networks.nets import ViT

    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("dock")
    torch.save(ViT(1, 16, 8, hidden_size=24, mlp_dim=32, num_layers=4, num_heads=2).state_dict(), root / "vit.pt")
    torch.save(unet_weights(), root / "unet.pt")
    said: dict[str, dict[str, Any]] = {
        "ViT": {"weights": root / "vit.pt", "format": "monai_vit", "heads": 2},
        "U-Net": {"weights": root / "unet.pt", "format": "amaes_unet", "image_size": 32, "enlarge": 1},
    }
    encoders = {name: wb.import_(out=root / name, store=study.store, **how).path for name, how in said.items()}
    return SimpleNamespace(root=root, encoders=encoders, study=study)


def settings(dock: Any, kind: str, job: str, **more: Any) -> dict[str, Any]:
    return {
        "out": dock.root / f"{job}-{kind}",
        "store": dock.study.store,
        "encoder": dock.encoders[kind],
        "accelerator": "cpu",
        **more,
    }


@pytest.mark.parametrize("kind", KINDS)
def test_classify_says_that_nobody_knows_whom_it_has_seen(dock, kind):
    run = wb.classify(**settings(dock, kind, "classify", split=dock.study.split, target="sex", mode="knn"))
    assert len(run.read_table("predictions")) and run.provenance["people_unknown"] is True
    assert "possibly transductive" in as_text(run)


@pytest.mark.parametrize("kind", KINDS)
def test_segment_by_hidden_states_or_by_its_own_pyramid(dock, kind):
    crop = 32 if kind == "U-Net" else 16
    run = wb.segment(**settings(dock, kind, "segment", split=dock.study.split, steps=2, features=4, crop=crop))
    segmenter = wb.load_segmenter(run.path)  # from its card alone
    scan = wb.load_cohort(dock.study.cohort).table["path"].iloc[0]
    assert segmenter.predict(scan).shape and np.isfinite(run.read_table("dice")["dice"]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_encoder_of_one_scan_gives_what_embed_gives(dock, kind):
    encoder = wb.load_encoder(dock.encoders[kind], device="cpu")
    scan = wb.load_cohort(dock.study.cohort).table["path"].iloc[0]
    found, tokens = encoder.embed(scan), encoder.tokens(scan)
    # none has a CLS: the mean of its tokens is used
    np.testing.assert_allclose(found.cls, found.patch_mean, atol=1e-5)
    assert tokens.values.shape[3] == len(found.cls) and "has no CLS" in encoder._repr_html_()


def test_attention_of_a_vit_is_shown_and_of_a_convolution_refused(dock):
    run = wb.attend(**settings(dock, "ViT", "attend", heads=False, scans=wb.open_store(dock.study.store).scan_ids[:1]))
    assert len(run.read_table("attention")) == 1
    said = {name: run.provenance[name] for name in ("pooling", "has_attention", "people_unknown")}
    assert said == {"pooling": "the mean of its tokens", "has_attention": True, "people_unknown": True}
    with pytest.raises(ConfigError, match="no attention") as refused:
        wb.attend(**settings(dock, "U-Net", "attend"))
    assert "tokens" in str(refused.value)


def test_nobody_is_said_to_be_unseen_where_nobody_knows(dock):
    index = wb.open_store(dock.study.store).index
    for kind in KINDS:
        assert "seen_in_pretraining" not in with_seen(index, load_encoder(dock.encoders[kind])[1])
        assert not with_seen(index, load_encoder(dock.encoders[kind], init="random")[1])["seen_in_pretraining"].any()


def test_a_crop_of_one_voxel_at_the_deepest_level_is_refused(dock):
    with pytest.raises(ConfigError, match="--crop 32"):
        wb.segment(**settings(dock, "U-Net", "small", split=dock.study.split, steps=1, features=4, crop=16))


def test_layer_decay_needs_blocks(dock):
    with pytest.raises(ConfigError, match="no blocks"):
        wb.segment(
            **settings(dock, "U-Net", "decay", split=dock.study.split, steps=1, features=4, crop=32, layer_decay=0.5)
        )


def test_scans_prepared_otherwise_are_refused(dock, tmp_path):
    run = wb.import_(out=tmp_path / "vit", weights=dock.root / "vit.pt", format="monai_vit", heads=2, spacing=1.0)
    with pytest.raises(WorkbenchError, match="prepared otherwise"):
        wb.embed(out=tmp_path / "embed", store=dock.study.store, encoder=run.path)


def test_random_weights_of_its_shape_have_seen_nobody(dock):
    network, card = load_encoder(dock.encoders["U-Net"], init="random", seed=1)
    assert not card.people_unknown and card.participants == () and network.config == card.config


def test_as_an_arm_of_a_study_it_must_be_compared_and_its_report_says_what_it_is_given(dock):
    said = {
        "out": dock.root / "study",
        "data": {"tiny": {"store": str(dock.study.store)}},
        "pretrain": {"encoder": dock.study.encoder},
        "arms": {"random": None, **{name: {"encoder": str(path)} for name, path in dock.encoders.items()}},
        "tasks": {"sex": {"data": "tiny", "classify": {"target": "sex", "mode": "knn"}}},
    }
    with pytest.raises(ConfigError, match="made elsewhere"):
        wb.check_fair(wb.StudyConfig.build(said))
    config = wb.StudyConfig.build(said | {"compares": ["encoder"]})
    wb.check_fair(config)
    plan = Plan(config, plan_all_data(config), write=False)
    arms = dict(arm_words(plan))
    assert "0 to 1 between" in arms["U-Net"] and "z-scores" in arms["ViT"] and "possibly transductive" in arms["ViT"]
    columns = ("simulated", "transductive", "metric", "n", "task", "direction")
    told = " ".join(caveats(plan, pd.DataFrame({name: [] for name in columns})))
    assert "Preprocessing differs between arms by design" in told and "ViT, U-Net: nobody lists" in told
