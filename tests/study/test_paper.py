"""The study of the paper (configs/study-paper.yaml) on trees with the true names and simulated scans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cohort.layouts import trees
from workbench.cohort.build import run_cohort
from workbench.prepare.prepare import run_prepare
from workbench.study.cells.data import Data
from workbench.study.cells.plan import Plan
from workbench.study.job import plan_all_data, plan_study
from workbench.study.report.words import methods
from workbench.study.settings.config import StudyConfig
from workbench.study.settings.directions import pretrain_sides, spared
from workbench.study.settings.fair import check_fair

FILE = Path(__file__).parents[2] / "configs" / "study-paper.yaml"
TOY: dict[str, Any] = {
    "pretrain": {
        "encoder": {"preset": "micro", "image_size": 16, "patch": 8},
        "objective": {"prototypes_cls": 16, "prototypes_patch": 16, "head_hidden": 16, "head_bottleneck": 8},
        "epochs": 1,
        "warmup_epochs": 0.5,
        "batch_size": 2,
    },
    "arms": {"volta": {"pretrain": {}}},
    "segment": {"steps": 1, "features": 12, "crop": [64, 64, 64]},
    "classify": {"epochs": 1},
}


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The file's settings on small trees: people 2 and later of ADNI's six are HarP's too."""
    root = tmp_path_factory.mktemp("paper")
    data = root / "data"
    trees.adni(data / "ADNI", people=6)
    trees.brats(data / "BraTS", 2023, people=3)
    trees.ixi(data / "IXI", people=12)
    trees.aibl(data / "AIBL", people=16)
    trees.harp(data / "HarP", people=8)
    settings: dict[str, Any] = yaml.safe_load(FILE.read_text())
    brains = settings["data"]["brains"]
    brains["sources"] = [str(root / source) for source in brains["sources"]]
    brains["prepare"] = {"spacing": 4.0}
    settings["pretrain"] = TOY["pretrain"]
    settings["arms"] |= TOY["arms"]
    for task in settings["tasks"].values():
        for job in ("segment", "classify"):
            if job in task:
                task[job] |= TOY[job]
    return {**settings, "out": str(root / "study"), "workers": 1}


@pytest.fixture(scope="module")
def prepared(toy: dict[str, Any]) -> tuple[StudyConfig, dict[str, Data]]:
    study = StudyConfig.build(toy)
    data = plan_all_data(study)
    cohort, prepare = data["brains"].cells
    run_cohort(cohort.config)  # type: ignore[arg-type]
    run_prepare(prepare.config)  # type: ignore[arg-type]
    return study, data


def test_the_file_is_valid_and_fair() -> None:
    study = StudyConfig.build({**yaml.safe_load(FILE.read_text()), "out": "nowhere"})
    check_fair(study)
    assert study.folds == 5 and not study.run_folds
    assert all(task.fractions == (1.0, 0.2) for task in study.tasks.values())
    assert {"scratch", "unet", "swin", "mae", "simclr", "volta"} == set(study.arms)


def test_before_the_data_are_there_the_first_cells_are_named(toy: dict[str, Any]) -> None:
    told = plan_study(StudyConfig.build({**toy, "out": toy["out"] + "-empty"}))
    assert "cohort-brains" in told and "prepare-brains" in told


def test_every_cell_of_the_paper_is_planned(prepared: tuple[StudyConfig, dict[str, Data]]) -> None:
    study, _ = prepared
    told = plan_study(study)
    # three pretrained arms once; sex and alzheimer of four arms, hippocampus of six; five folds, two shares
    assert f"{3 + (4 + 4 + 6) * 5 * 2} cells, 0 done" in told


def test_nobody_of_harp_is_pretrained_on_and_the_report_says_so(prepared: tuple[StudyConfig, dict[str, Data]]) -> None:
    study, data = prepared
    plan = Plan(study, data, write=False)
    index = plan.stores["brains"].index
    both = spared(index, ["ADNI", "BraTS"])
    assert both == {f"ADNI/{trees.adni_person(i)}" for i in range(2, 6)}
    learnt = set(pretrain_sides(index, ["ADNI", "BraTS"]).query("split == 'train'")["participant"])
    tested = set(index.loc[index["site"].isin(["IXI", "AIBL", "HarP"]), "participant"])
    assert both <= tested and not learnt & tested
    assert learnt == {f"ADNI/{trees.adni_person(i)}" for i in (0, 1)} | {f"BraTS/BraTS-GLI-0000{i}" for i in (1, 2, 3)}
    assert "Pretraining saw 5 people of ADNI, BraTS; 4 who have scans there" in methods(plan)
    assert "so that 0 of the 36 people of the tasks had been seen" in methods(plan)


def test_tasks_are_on_the_people_of_their_data_set(prepared: tuple[StudyConfig, dict[str, Data]]) -> None:
    study, data = prepared
    plan = Plan(study, data, write=False)
    index = plan.stores["brains"].index
    assert {name: [d.name for d in found] for name, found in plan.directions.items()} == {
        "sex": ["within IXI"],
        "alzheimer": ["within AIBL"],
        "hippocampus": ["within HarP"],
    }
    assert set(index.loc[index["site"] == "AIBL", "diagnosis"]) == {"AD", "CN"}
