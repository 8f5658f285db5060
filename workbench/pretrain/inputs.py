"""What a pretraining is made from."""

from __future__ import annotations

from workbench.cohort.splits import load_sides, split_fingerprint
from workbench.model.inputs import encoder_digest
from workbench.prepare.content import store_content
from workbench.pretrain.config import PretrainConfig


def inputs_of(config: PretrainConfig) -> dict[str, str]:
    """Content of all that a pretraining reads."""
    split = "none" if config.split is None else split_fingerprint(load_sides(config.split))
    start = {} if config.start_from is None else {"start_from": encoder_digest(config.start_from)}
    return {"store": store_content(config.store), "split": split, **start}
