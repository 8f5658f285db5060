"""Fine-tuning of any exported encoder, and of the same architecture from random weights, under one protocol."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.finetune.classify import run_classify
    from workbench.finetune.config import ClassifyConfig, SegmentConfig
    from workbench.finetune.segment import run_segment

__all__ = ["ClassifyConfig", "SegmentConfig", "run_classify", "run_segment"]
__getattr__ = lazy.names(
    __name__,
    {"ClassifyConfig": "config", "SegmentConfig": "config", "run_classify": "classify", "run_segment": "segment"},
)
