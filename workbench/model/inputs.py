"""Fingerprints of what a run reads, from small files alone: no model is loaded, and torch is not imported."""

from __future__ import annotations

import json
from pathlib import Path

from workbench.model.box import encoder_folder, facts
from workbench.prepare.content import store_content
from workbench.runs import digest_file, digest_text

WEIGHTS = "encoder.safetensors"


def fingerprints(store: Path, encoder: Path) -> dict[str, str]:
    """Content of a store and of an encoder's weights: the ``inputs`` of a run that reads them."""
    return {"store": store_content(store), "encoder": encoder_digest(encoder)}


def encoder_digest(encoder: Path) -> str:
    """Content of an exported encoder's weights; of one made elsewhere also what it is given, which the weights do not
    say."""
    folder = encoder_folder(encoder)
    weights = digest_file(folder / WEIGHTS)
    told = facts(folder)
    return weights if told.get("origin") is None else digest_text(weights, json.dumps(told["config"], sort_keys=True))
