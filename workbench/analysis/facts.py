"""What the jobs that look into an encoder share: what their run folders say, and the random weights beside."""

from __future__ import annotations

from typing import Any

from workbench.analysis.config import LookConfig
from workbench.errors import ConfigError
from workbench.model.contract import AnyEncoder
from workbench.model.export import EncoderCard, fresh_encoder
from workbench.prepare.store import Store

# added to the seed of the random weights beside: with the seed itself they may be the encoder's own start
SEED_BESIDE = 1_000_003


def facts_of(config: LookConfig, store: Store, card: EncoderCard) -> dict[str, Any]:
    """Provenance of a look, known before the work starts."""
    return {
        "seed": config.seed,
        "store": str(config.store),
        "encoder": str(config.encoder),
        "init": config.init,
        "objective": card.objective,
        "preparation": store.fingerprint,
        "simulated": store.simulated,
        "people_unknown": card.people_unknown,
        "pooling": card.config.pooling,
        "has_attention": card.config.heads > 0,
    }


def random_beside(config: LookConfig, card: EncoderCard) -> AnyEncoder:
    """The same architecture with weights of their own, to hold beside the encoder."""
    return fresh_encoder(card.config, config.seed + SEED_BESIDE)


def require_block(block: int, depth: int) -> None:
    """Refuse a block that the encoder does not have.

    Raises:
        ConfigError: it says how many there are.
    """
    if not -depth <= block < depth:
        raise ConfigError(f"block {block}: the encoder has {depth}", remedy=f"choose 0 to {depth - 1}, or -1")
