"""What everything else has to beat: predictions without any pretraining, as further arms of a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workbench.finetune.config import ClassifyConfig

MARK = "baseline "
"""Before the name of such an arm, so that every table, figure and file says what it is."""


@dataclass(frozen=True)
class Baseline:
    """One of them: a mode of `classify`, and what it is in words."""

    name: str
    mode: str
    words: str
    settings: tuple[tuple[str, Any], ...] = ()
    labels: bool = False
    """Whether it reads the labels of the people it predicts, too."""

    @property
    def arm(self) -> str:
        return MARK + self.name

    def classify(self, task: dict[str, Any]) -> dict[str, Any]:
        """A task's settings without those that only other modes read, and its own over them."""
        unread = ClassifyConfig.unread(self.mode)
        return {**{k: v for k, v in task.items() if k not in unread}, "mode": self.mode, **dict(self.settings)}


_IN_ORDER = (
    Baseline(
        "structure volumes",
        "structure_volume",
        "volumes of all structures that are outlined, with a regression; it reads the outlines of tested people too",
        (("structures", ()),),
        labels=True,
    ),
    Baseline(
        "untrained CNN", "untrained_cnn", "a convolutional network with the weights it was drawn with, and a ridge"
    ),
    Baseline("brain volume", "brain_volume", "the volume of the brain mask, with a regression"),
    Baseline("voxel PCA", "pca", "principal components of the training people's voxels, with a regression"),
)
BASELINES: dict[str, Baseline] = {one.name: one for one in _IN_ORDER}
"""By name, in the order of tables."""
ARMS: dict[str, Baseline] = {one.arm: one for one in _IN_ORDER}
"""By the name of their arm."""
