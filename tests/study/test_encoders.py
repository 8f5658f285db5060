"""Own encoders, published ones, a U-Net and the baselines in one study, and what its report says of each."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import yaml

import workbench as wb
from workbench.errors import ConfigError
from workbench.shipped import preset
from workbench.study.settings.baselines import ARMS, BASELINES
from workbench.study.settings.layers import finetune_config

OWN, GIVEN, SLOW = ("random", "volta", "mae"), ("vit", "swin", "resnet"), ("swin", "resnet")


def stand_ins() -> dict[str, tuple[torch.nn.Module, dict[str, Any]]]:
    """Published architectures at random weights, and what `import` has to be told."""
    from monai.networks.nets import SwinUNETR, ViT, resnet18

    torch.manual_seed(0)
    return {
        "vit": (
            ViT(1, 32, 16, hidden_size=24, mlp_dim=32, num_layers=2, num_heads=2),
            {"format": "monai_vit", "heads": 2},
        ),
        "swin": (SwinUNETR(1, 2, feature_size=12), {"format": "swin_unetr"}),
        "resnet": (
            resnet18(spatial_dims=3, n_input_channels=1, num_classes=2),
            {"format": "simclr_resnet", "enlarge": 1},
        ),
    }


@pytest.fixture(scope="module")
def encoders(study, tmp_path_factory):
    root = tmp_path_factory.mktemp("encoders")
    for name, (network, told) in stand_ins().items():
        torch.save(network.state_dict(), root / f"{name}.pt")
        wb.import_(weights=root / f"{name}.pt", out=root / name, store=study.store, licence="as a test says", **told)
    return root


@pytest.fixture(scope="module")
def asked(study, encoders, tmp_path_factory) -> dict[str, Any]:
    """The file that comes with the package, on the smallest people there are, with hardly any training."""
    said = yaml.safe_load(preset("compare", "encoders").read_text())
    said |= {"out": str(tmp_path_factory.mktemp("encoders-study") / "study"), "folds": 3, "worst": 0}
    said["data"] = {"simulated": {"store": str(study.store)}}
    said["pretrain"] |= {"encoder": study.encoder, "epochs": 0.5, "warmup_epochs": 0.5, "batch_size": 2}
    said["tasks"]["hippocampus"]["segment"] |= {"steps": 1, "features": 4, "batch_size": 1, "overlap": 0.0}
    said["tasks"]["attention"]["attend"] = {"sanity": False}
    del said["tasks"]["tokens"]  # a phantom is smaller than a token or two of the published ones
    for name in GIVEN:
        said["arms"][name] = {"encoder": str(encoders / name)}
    return said


@pytest.fixture(scope="module")
def done(asked):
    """Of the published ones the ViT alone segments here: a step of the other two takes a minute on two busy cores."""
    slow = {name: {**asked["arms"][name], "tasks": ["sex", "attention"]} for name in SLOW}
    return wb.compare({**asked, "arms": {**asked["arms"], **slow}})


def test_every_arm_is_in_every_task_that_it_can_do(done):
    people = done.read_table("people")
    arms = {task: set(rows["arm"]) for task, rows in people.groupby("task")}
    every = {*OWN, *GIVEN}
    assert arms == {
        "hippocampus": (every - {*SLOW}) | {"unet"},
        "sex": every | set(ARMS),
        "attention": every - {*SLOW},
    }
    table = done.read_table("arms")
    assert set(table.loc[table["baseline"], "arm"]) == set(ARMS) and (table["n"] > 0).all()
    sex = table[(table["task"] == "sex") & (table["metric"] == "auroc")]
    assert set(sex["n"]) == {4} and sex[["low", "high"]].notna().all(axis=None)


def test_the_report_says_what_each_can_and_cannot_do(done):
    text = (done.path / "results.md").read_text()
    for said in (
        "swin, resnet: without attention that can be shown, and so not in attention.",
        "vit, swin, resnet: nobody lists whom it has seen, so that every test of it is possibly transductive",
        "Preprocessing differs between arms by design",
        "vit, swin, resnet: one encoder made elsewhere, pretrained once.",
        "Baselines predict something of a person, and have no part in hippocampus, attention.",
        "sex, within A + B: of the baselines",
    ):
        assert said in text, said
    arms = {line.split("**")[1]: line for line in text.splitlines() if line.startswith("- **")}
    for name in GIVEN:
        assert "this encoder has no CLS; the mean of its tokens is used" in arms[name], arms[name]
        assert "licence as a test says" in arms[name] and "given " in arms[name]
    for name, one in ARMS.items():
        assert f"a baseline, without an encoder: {one.words}" in arms[name]
    assert "not pretrained, random weights" in arms["random"] and "without an encoder" in arms["unet"]


def test_a_crop_that_does_not_suit_everybody_is_refused_with_one_that_does(asked):
    arms = {**asked["arms"], "unet": {"segment": {"network": "unet"}}}
    for crop, cause in ((16, "swin: its deepest level would be one voxel"), (40, "swin: its edges must be multiples")):
        tasks = {"h": {"data": "simulated", "segment": {"crop": crop}}}
        with pytest.raises(ConfigError, match="does not suit every arm") as refused:
            wb.check_fair(wb.StudyConfig.build({**asked, "arms": arms, "tasks": tasks, "baselines": []}))
        assert cause in str(refused.value.cause) and f"crop: {32 if crop == 16 else 48}" in str(refused.value.remedy)
    with pytest.raises(ConfigError, match="arms would have crops of their own") as refused:
        tasks = {"h": {"data": "simulated", "segment": {}}}
        wb.check_fair(wb.StudyConfig.build({**asked, "arms": arms, "tasks": tasks, "baselines": []}))
    assert "vit was trained on 32" in str(refused.value.cause) and "crop: 160" in str(refused.value.remedy)


def test_a_baseline_reads_of_a_task_what_it_can_use_and_is_fair(asked):
    tasks = {
        "age": {
            "data": "simulated",
            "classify": {"target": "age", "task": "regression", "mode": "full", "epochs": 1, "precision": "32-true"},
            "learning_rates": [1e-3, 1e-2],
            "fractions": [0.5],
        }
    }
    config = wb.StudyConfig.build({**asked, "tasks": tasks, "arms": {"random": None}})
    wb.check_fair(config)
    arms = config.each_arm()
    one = wb.StudyConfig.build({**asked, "tasks": tasks, "arms": {"random": None}, "baselines": "voxel PCA"})
    assert one.baseline_arms() == ["baseline voxel PCA"]
    assert list(arms) == ["random", *ARMS] and len(config.pairs()) == len(BASELINES)
    for name, one in ARMS.items():
        cell = finetune_config(config, config.tasks["age"], arms[name], name=name)
        assert cell.mode == one.mode and cell.task == "regression" and not cell.uses_encoder


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"baselines": ["brain volumes"]}, "there is no brain volumes; there are: all, structure volumes"),
        ({"tasks": {"h": {"data": "simulated", "segment": {"crop": 64}}}}, "no task is `classify`"),
        ({"arms": {"random": None, "baseline x": None}}, "are those of `baselines`"),
    ],
)
def test_baselines_that_cannot_be_are_refused(asked, changes, said):
    with pytest.raises(ConfigError, match=said):
        wb.StudyConfig.build({**asked, "arms": {"random": None}, **changes})
