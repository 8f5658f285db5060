"""Starting from an encoder that is there, in place of random weights."""

from __future__ import annotations

from dataclasses import replace

from workbench.errors import ConfigError
from workbench.model.config import EncoderConfig
from workbench.model.export import EncoderCard, architecture_words, load_encoder
from workbench.model.vit import Encoder
from workbench.prepare.store import Store
from workbench.pretrain.config import PretrainConfig
from workbench.pretrain.objectives.base import Objective

NO_WEIGHTS = {"drop_path"}  # settings of an architecture that decide no weight


def require_start(config: PretrainConfig, store: Store) -> None:
    """Refuse an encoder that a pretraining on this store cannot start from.

    Raises:
        ConfigError: it is of another architecture than ``encoder``, or made elsewhere.
        WorkbenchError: there is no such encoder, or it wants scans that are prepared otherwise.
    """
    if config.start_from is None:
        return
    _, card = load_encoder(config.start_from)
    if not isinstance(card.config, EncoderConfig):
        raise ConfigError(
            f"start_from: {config.start_from} was made elsewhere ({architecture_words(card.config)})",
            cause="pretraining trains the workbench's own architecture",
            remedy="start from one of `workbench encoders` or from a pretraining run",
        )
    store.require_contrasts(card.contrasts, str(config.start_from))
    free = NO_WEIGHTS | ({"image_size"} if config.encoder.positions == "rotary" else set())
    theirs, ours = card.config.model_dump(mode="json"), config.encoder.model_dump(mode="json")
    if other := [name for name in theirs if name not in free and theirs[name] != ours[name]]:
        raise ConfigError(
            f"start_from: {config.start_from} has another architecture",
            cause="; ".join(f"{name} {theirs[name]} there, {ours[name]} here" for name in other),
            remedy=" ".join(f"--encoder.{name} {_flag(theirs[name])}" for name in other),
        )
    store.require_fingerprint(card.preparation, str(config.start_from))


def begin_with(objective: Objective, config: PretrainConfig) -> None:
    """Student and teacher begin with the weights of ``start_from``; heads stay as they were drawn."""
    if config.start_from is None:
        return
    weights = load_encoder(config.start_from)[0].state_dict()
    for module in objective.modules():
        if isinstance(module, Encoder):
            module.load_state_dict(weights)


def with_its_past(card: EncoderCard, config: PretrainConfig) -> EncoderCard:
    """The card of what came out: whoever the first encoder had seen, this one has seen too."""
    if config.start_from is None:
        return card
    _, before = load_encoder(config.start_from)
    return replace(
        card,
        participants=tuple(sorted({*before.participants, *card.participants})),
        scans=tuple(sorted({*before.scans, *card.scans})),
        objective=f"{card.objective}; begun from {config.start_from.name} ({before.steps} steps of {before.objective})",
        simulated=card.simulated or before.simulated,
    )


def _flag(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
