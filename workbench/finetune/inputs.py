"""What a fine-tuning is made from."""

from __future__ import annotations

from workbench.cohort.splits import load_sides, split_fingerprint
from workbench.finetune.shared_config import FinetuneConfig
from workbench.model.inputs import fingerprints
from workbench.prepare.content import store_content


def inputs_of(config: FinetuneConfig) -> dict[str, str]:
    """Content of all that a fine-tuning reads."""
    encoder = config.encoder
    read = {"store": store_content(config.store)} if encoder is None else fingerprints(config.store, encoder)
    return {**read, "split": split_fingerprint(load_sides(config.split))}
