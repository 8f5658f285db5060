"""What every objective must be, whoever wrote it: a new module is tested here without a line of its own."""

import math
from importlib.metadata import EntryPoint

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from workbench.engine.bend import Placement
from workbench.errors import ConfigError
from workbench.model.config import EncoderConfig
from workbench.model.vit import Encoder
from workbench.pretrain.config import PretrainConfig
from workbench.pretrain.objectives import table
from workbench.pretrain.objectives.base import VIEWS, Batch, Objective, StepInfo
from workbench.pretrain.objectives.table import objectives

OWN = """
from typing import Literal
from workbench.model.vit import Encoder
from workbench.pretrain.objectives.base import Losses, Objective
from workbench.pretrain.objectives.settings import ObjectiveSettings

class MineSettings(ObjectiveSettings):
    name: Literal["mine"] = "mine"
    margin: float = 1.0
    def build(self, encoder):
        return Mine(encoder)
    def describe(self):
        return "mine"

class Mine(Objective):
    def __init__(self, config):
        super().__init__()
        self.encoder = Encoder(config)
    def forward(self, batch, now):
        apart = self.encoder(batch.clean[0]).cls_BD - self.encoder(batch.clean[1]).cls_BD
        return Losses((apart**2).mean(), {"apart": (apart**2).mean()}, {})
    @property
    def exported(self):
        return self.encoder
"""
ENCODER = EncoderConfig(preset="micro", image_size=32, patch=8, registers=2)
NOW = StepInfo(1, 10, 2.0)
SMALL = {"head_hidden": 128, "head_bottleneck": 64, "contrast_hidden": 128, "contrast_width": 64}
PROTOTYPES = {"name": "volta", "prototypes_cls": 256, "prototypes_patch": 512}
VARIANTS = [
    *({"name": name} for name in objectives()),
    PROTOTYPES,  # the paper's letter
    {**PROTOTYPES, "weight_patch": 0, "weight_reconstruction": 0},  # DINO
    {**PROTOTYPES, "weight_reconstruction": 0, "patch_tokens": "masked"},  # iBOT
    {**PROTOTYPES, "weight_cross": 1.0},
    {"name": "volta", "weight_cls": 0, "weight_patch": 0, "weight_cross": 0},  # reconstruction only
    {"name": "volta", "weight_cls": 0, "weight_cross": 0, "patch_tokens": "masked"},
    {"name": "volta", "weight_cls": 0, "weight_patch": 0},
    *({"name": "volta", "alignment_cls": kind} for kind in ("pooled", "variance", "contrast")),
]


def built(settings: dict):
    torch.manual_seed(0)
    settings = {**(SMALL if settings["name"] == "volta" else {}), **settings}
    config = PretrainConfig.build({"out": "o", "store": "s", "encoder": ENCODER, "objective": settings})
    return config, config.objective.build(ENCODER)


def batch(config, scans: int = 2) -> Batch:
    clean = torch.randn(VIEWS, scans, 1, 32, 32, 32)
    cells = torch.zeros(64, dtype=torch.bool)
    cells[: round(64 * config.mask_ratio)] = True
    masks = torch.nn.functional.interpolate(cells.view(1, 1, 4, 4, 4).float(), size=(32, 32, 32)) > 0
    masks = masks.expand(VIEWS, scans, 1, 32, 32, 32)
    drops = torch.rand(VIEWS, scans, ENCODER.depth, 2)
    matrices = torch.eye(3, 4).expand(VIEWS, scans, 3, 4).clone()
    matrices[1, ..., 3] = 6.0  # the second view lies to the right, in front and above
    where = Placement(matrices, torch.full((VIEWS, scans, 3), 44.0))
    return Batch(clean, torch.where(masks, torch.randn_like(clean), clean), masks, drops, where)


def test_the_table_holds_what_the_folder_holds():
    assert next(iter(objectives())) == "volta" and {"mae", "simclr"} <= set(objectives())


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_every_objective_trains_exports_and_says_what_it_is(settings):
    config, objective = built(settings)
    losses = objective(batch(config), NOW)
    assert torch.isfinite(losses.total) and losses.terms and losses.shared is not None
    weighted = sum(losses.weights[name] * float(value.detach()) for name, value in losses.terms.items())
    assert float(losses.total.detach()) == pytest.approx(weighted, rel=1e-5)
    assert sum(float(v) for v in losses.gradient_shares().values()) == pytest.approx(1.0)
    losses.total.backward()
    assert [n for n, p in objective.named_parameters() if p.requires_grad and p.grad is None] == []
    assert isinstance(objective.exported, Encoder) and config.objective.describe()
    assert {"cls_std", "cls_rank"} <= set(losses.monitors)
    assert objective(batch(config), StepInfo(1, 10, 2.0, monitored=False)).monitors == {}


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_the_same_draws_give_the_same_loss_whatever_was_drawn_before(settings):
    """Drop path and all: an objective draws nothing itself, or a resumed run would go another way."""
    config, objective = built({**settings})
    torch.manual_seed(1)
    b = batch(config)
    first = objective(b, NOW).total.detach()
    torch.rand(17)
    assert torch.equal(first, objective(b, NOW).total.detach())


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_flops_are_what_torch_counts(settings):
    """The stated formula against torch's own counter of matrix products, forward and backward."""
    config, objective = built(settings)
    b = batch(config)
    with FlopCounterMode(display=False) as counter:
        objective(b, StepInfo(1, 10, 2.0, monitored=False)).total.backward()
    formula = 2 * objective.flops(ENCODER, masked=config.mask_ratio, local=(0, 0))
    assert formula == pytest.approx(counter.get_total_flops(), rel=0.08)


@pytest.mark.parametrize("name", objectives())
def test_an_objective_without_a_formula_has_its_step_counted(name):
    config, objective = built({"name": name})
    before = {k: v.clone() for k, v in objective.state_dict().items()}
    stated = objective.flops(ENCODER, masked=config.mask_ratio, local=(0, 0))
    assert Objective.flops(objective, ENCODER, masked=config.mask_ratio, local=(0, 0)) == pytest.approx(stated, rel=0.1)
    assert all(torch.equal(v, before[k]) for k, v in objective.state_dict().items())
    assert all(p.grad is None for p in objective.parameters())


def test_an_objective_of_somebodys_own_package_is_a_choice(monkeypatch, tmp_path, capsys):
    (tmp_path / "mine.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [EntryPoint("mine", value, table.GROUP) for value in ("mine:MineSettings", "mine:Nothing", "absent:X")]
    monkeypatch.setattr(table, "entry_points", lambda group: points)
    objectives.cache_clear()
    try:
        assert {"volta", "mae", "mine"} <= set(objectives())
        assert capsys.readouterr().err.count("is left out") == 2
        config, objective = built({"name": "mine", "margin": 0.5})
        assert config.objective.margin == 0.5
        losses = objective(batch(config), NOW)
        losses.total.backward()
        assert objective.flops(ENCODER, masked=0.5, local=(0, 0)) > 1e6
        monkeypatch.setattr(table, "entry_points", lambda group: [points[0], points[0]])
        objectives.cache_clear()
        with pytest.raises(ConfigError, match="two objectives are called 'mine'"):
            objectives()
    finally:
        objectives.cache_clear()


def test_a_wrong_name_is_told_with_the_right_ones():
    with pytest.raises(ConfigError, match="there are volta, mae, simclr"):
        PretrainConfig.build({"out": "o", "store": "s", "objective": {"name": "moco"}})


def test_settings_of_another_objective_are_refused():
    with pytest.raises(ConfigError, match=r"objective.weight_cls: Extra"):
        PretrainConfig.build({"out": "o", "store": "s", "objective": {"name": "mae", "weight_cls": 1.0}})


def test_configurations_survive_yaml():
    import yaml

    config = PretrainConfig.build({"out": "o", "store": "s", "objective": {"name": "mae", "decoder_depth": 2}})
    values = yaml.safe_load(config.to_yaml())
    assert values.pop("job") == "pretrain" and values["objective"]["decoder_depth"] == 2
    again = PretrainConfig.build(values)
    assert again.objective == config.objective and again.mask_ratio == 0.75
    assert math.isclose(PretrainConfig.build({"out": "o", "store": "s"}).mask_ratio, 0.5)
