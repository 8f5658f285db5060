"""What an objective is to the configuration. Light: `workbench pretrain --help` imports no torch before it must."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from workbench.model.config import EncoderConfig
from workbench.runs import Settings

if TYPE_CHECKING:
    from workbench.pretrain.objectives.base import Objective


class ObjectiveSettings(Settings):
    """Base of the settings of an objective. A subclass names itself by ``name: Literal["…"] = "…"``."""

    mask_ratio: ClassVar[float] = 0.5
    """Share of a view that is masked where ``mask.ratio`` does not say otherwise."""

    @property
    def compares(self) -> frozenset[str]:
        """What it holds against each other in the two views: "cls", "tokens" (at the same place), both or nothing."""
        return frozenset({"cls"})

    @classmethod
    def variants(cls) -> dict[str, type[ObjectiveSettings]]:
        """The objectives there are, by name: what ``--objective.name`` may say."""
        from workbench.pretrain.objectives.table import objectives

        return objectives()

    def build(self, encoder: EncoderConfig) -> Objective:
        """The module that is trained."""
        raise NotImplementedError

    def describe(self) -> str:
        """A few words for the model card."""
        raise NotImplementedError
