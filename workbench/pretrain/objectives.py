"""The table of objectives. A new one is a module of its own and a line here."""

from __future__ import annotations

from workbench.model.config import EncoderConfig
from workbench.pretrain.config import VoltaSettings
from workbench.pretrain.objective import Objective
from workbench.pretrain.volta import Volta

OBJECTIVES = {"volta": Volta}


def build_objective(encoder: EncoderConfig, settings: VoltaSettings) -> Objective:
    """The objective that ``settings.name`` asks for."""
    return OBJECTIVES[settings.name](encoder, settings)
