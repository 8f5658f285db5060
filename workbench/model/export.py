"""An encoder on disk: safetensors, ``config.json`` and a model card. Loads with no training code and no pickle."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from workbench.errors import WorkbenchError
from workbench.html import facts_table
from workbench.model.box import encoder_folder
from workbench.model.config import EncoderConfig
from workbench.model.contract import AnyEncoder, pooled_words
from workbench.model.foreign.config import AnyConfig, Foreign
from workbench.model.inputs import WEIGHTS
from workbench.model.vit import Encoder
from workbench.prepare.fingerprint import contrasts_in
from workbench.runs import read_json, replacing
from workbench.runs.config import without_later

CONFIG, CARD = "config.json", "README.md"
Init = Literal["pretrained", "random"]
# what a file may make us build before its weights are compared with it
MAX_TOKENS = 2**17  # 800 voxels an axis at patch 16
MAX_PATCH = 64**3
KINDS = {"float64", "float32", "float16", "bfloat16", "int64", "int32"}  # whole numbers are buffers that count


@dataclass(frozen=True)
class Origin:
    """Where an encoder that was made elsewhere came from, as far as whoever imported it says."""

    format: str
    """Of the published checkpoint."""
    source: str
    """Where it was got from."""
    licence: str
    """Of the weights."""
    weights: str
    """Digest of the file."""
    people_known: bool
    """Whether the card's participants are all whom it has seen; if not, every test may be on people it has seen."""


@dataclass(frozen=True)
class EncoderCard:
    """What must be known to use an encoder honestly.

    ``preparation`` is the fingerprint of the preparation its input had, ``participants`` everybody it has seen
    (empty for random weights), ``scans`` the fingerprints of their image files, which stay when a folder or a person
    is renamed, and ``simulated`` whether any of them was simulated. ``prepare`` holds the settings behind
    ``preparation``, so that a scan that no store holds can be prepared alike; None in an export of before 0.2.
    """

    config: AnyConfig
    preparation: str
    spacing: float
    participants: tuple[str, ...]
    scans: tuple[str, ...]
    objective: str
    steps: int
    seed: int
    simulated: bool
    init: Init = "pretrained"
    prepare: dict[str, Any] | None = None
    origin: Origin | None = None

    @property
    def people_unknown(self) -> bool:
        """Nobody says whom it has seen, so that any test may be on people it has seen."""
        return self.init == "pretrained" and self.origin is not None and not self.origin.people_known

    @property
    def contrasts(self) -> tuple[str, ...]:
        """What a scan has of channels, in order."""
        return contrasts_in(self.prepare)

    @property
    def seen_words(self) -> str:
        """Whom it has seen."""
        if self.people_unknown:
            return "people whom nobody lists, so that every test is possibly transductive"
        return f"{len(self.participants)} people"

    def _repr_html_(self) -> str:
        """For a notebook's cell: what it is, what it has seen, and what it may be given."""
        made = f"{self.steps} (seed {self.seed})"
        return facts_table(
            f"Encoder ({self.init} weights)",
            {
                "architecture": architecture_words(self.config),
                "objective": self.objective,
                **({"optimiser steps": made} if self.origin is None else {"licence": self.origin.licence}),
                "has seen": self.seen_words,
                "input": f"{'+'.join(self.contrasts)} prepared at {self.spacing:g} mm, preparation {self.preparation}",
            },
            simulated=self.simulated,
        )


def architecture_words(config: AnyConfig) -> str:
    """An architecture in one line."""
    if isinstance(config, EncoderConfig):
        return (
            f"{config.preset}: width {config.width}, {config.depth} blocks, {config.heads} heads, "
            f"patch {config.patch}, crop {config.image_size}, {config.registers} registers"
            + (f", {config.channels} channels" if config.channels > 1 else "")
        )
    p, q, r = config.patch_xyz
    parts = [f"{config.name}: width {config.width}"]
    if config.has_blocks:
        parts.append(f"{config.depth} blocks, {config.heads} heads")
    parts += [f"a token for {p}x{q}x{r} prepared voxels", f"given {config.wants}"]
    if config.enlarge > 1:
        parts.append(f"each prepared voxel enlarged to {config.enlarge} along each edge")
    if told := pooled_words(config):
        parts.append(told)
    return ", ".join(parts)


def save_encoder(folder: Path, weights: dict[str, Tensor], card: EncoderCard) -> Path:
    """Write an encoder (its state dict); the weights last, so that a folder with weights is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {
        **card.__dict__,
        "config": without_later(card.config.model_dump(mode="json"), type(card.config)),
        "origin": None if card.origin is None else dataclasses.asdict(card.origin),
        "participants": list(card.participants),
        "scans": list(card.scans),
    }
    if card.origin is None:
        del facts["origin"]  # what is our own is read by earlier versions too
    with replacing(folder / CONFIG) as partial:
        partial.write_text(json.dumps(facts, indent=2) + "\n")
    with replacing(folder / CARD) as partial:
        partial.write_text(_card_text(card, sum(w.numel() for w in weights.values())))
    with replacing(folder / WEIGHTS) as partial:
        save_file({k: v.detach().cpu().contiguous() for k, v in weights.items()}, partial)
    return folder


def load_encoder(path: str | Path, *, init: Init = "pretrained", seed: int = 0) -> tuple[AnyEncoder, EncoderCard]:
    """Load an exported encoder, or fresh weights of the same shape.

    Args:
        path: A pretraining run folder, the ``model`` folder inside it, or the name of an encoder in the box.
        init: ``"random"`` takes only the architecture and draws the weights from ``seed``: the null that every
            comparison needs, equal in everything but the pretraining.
        seed: Only for random weights.

    Returns:
        The encoder in evaluation mode, on the CPU, and its card.

    Raises:
        WorkbenchError: the folder holds no exported encoder, or weights that do not fit its configuration.
    """
    folder, card = encoder_folder(path), read_card(path)
    if init == "random":
        if not isinstance(card.config, EncoderConfig):
            _check_fit(card.config, _shapes(folder / WEIGHTS), folder / WEIGHTS)
        card = replace(
            card,
            participants=(),
            scans=(),
            objective="none (random weights)",
            steps=0,
            seed=seed,
            simulated=False,
            init="random",
        )
        return fresh_encoder(card.config, seed), card
    weights = _read_weights(folder / WEIGHTS)
    if not isinstance(card.config, EncoderConfig):
        _check_fit(card.config, {name: tuple(w.shape) for name, w in weights.items()}, folder / WEIGHTS)
    encoder = build_encoder(card.config)
    for name, own in encoder.state_dict().items():
        if name in weights and own.is_floating_point() != weights[name].is_floating_point():
            raise WorkbenchError(
                f"{folder / WEIGHTS}: the weights do not fit {CONFIG}",
                cause=f"{name} holds {str(weights[name].dtype).removeprefix('torch.')}",
                remedy="export the encoder again",
            )
    try:
        encoder.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise WorkbenchError(
            f"{folder / WEIGHTS}: the weights do not fit {CONFIG}",
            cause=str(error)[:300],
            remedy="export the encoder again",
        ) from error
    return encoder.eval(), card


def read_card(path: str | Path) -> EncoderCard:
    """The card of an exported encoder alone, see `load_encoder`."""
    folder = encoder_folder(path)
    if not (folder / WEIGHTS).is_file() or not (folder / CONFIG).is_file():
        raise WorkbenchError(
            f"{path}: no exported encoder here",
            cause=f"{WEIGHTS} or {CONFIG} is missing",
            remedy="give a finished pretraining run; `workbench pretrain` exports at its end",
        )
    return _read_card(folder / CONFIG)


def build_encoder(config: AnyConfig) -> AnyEncoder:
    """The network of a configuration, with weights drawn from torch's generator."""
    return Encoder(config) if isinstance(config, EncoderConfig) else config.build()


def _check_fit(config: Foreign, shapes: dict[str, tuple[int, ...]], path: Path) -> None:
    """The settings of a foreign encoder are checked against its weights before memory is taken for them."""
    with torch.device("meta"):
        wanted = {name: tuple(value.shape) for name, value in config.build().state_dict().items()}
    wrong = [name for name, shape in wanted.items() if shapes.get(name) != shape]
    if wrong or set(shapes) - set(wanted):
        raise WorkbenchError(
            f"{path}: the weights do not fit {CONFIG}",
            cause=f"for example {(wrong or sorted(set(shapes) - set(wanted)))[0]}",
            remedy="import the encoder again",
        )


def _read_card(path: Path) -> EncoderCard:
    """The card of ``config.json``, every field of its own type: an encoder whose input is not known to the millimetre,
    or of which nobody knows whether it was simulated, cannot be used honestly."""
    facts = read_json(path, finite=True)
    remedy = "it is damaged, or of another version: copy it again, or pretrain again"
    known = {field.name for field in dataclasses.fields(EncoderCard)}
    if unknown := sorted(set(facts) - known):
        raise WorkbenchError(f"{path}: cannot be read", cause=f"unknown: {', '.join(unknown)[:200]}", remedy=remedy)
    try:
        # as JSON, strictly: a list is a tuple there and a whole number may be a length, but null is no "false"
        card = TypeAdapter(EncoderCard).validate_json(json.dumps(facts), strict=True)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise WorkbenchError(f"{path}: cannot be read", cause="; ".join(lines)[:300], remedy=remedy) from error
    size, patch = card.config.size_xyz, card.config.patch_xyz
    tokens = math.prod(s // p for s, p in zip(size, patch, strict=True))
    wrong = {
        f"spacing is {card.spacing:g} mm": not 0.05 <= card.spacing <= 20,
        f"steps are {card.steps}": card.steps < 0,
        "preparation is empty": not card.preparation,
        f"its crop {size} has {tokens:,} tokens, more than {MAX_TOKENS:,}": tokens > MAX_TOKENS,
        f"its patch {patch} has more than {MAX_PATCH:,} voxels": math.prod(patch) > MAX_PATCH,
    }
    if bad := [what for what, is_so in wrong.items() if is_so]:
        raise WorkbenchError(f"{path}: cannot be read", cause="; ".join(bad), remedy=remedy)
    return card


UNREADABLE = (SafetensorError, OSError, ValueError, RuntimeError, KeyError)
COPY = "copy it again and compare checksums, or pretrain again"


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Of each tensor, from the file's table of contents."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except UNREADABLE as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> WorkbenchError:
    cause = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return WorkbenchError(f"{path}: truncated or damaged", cause=cause, remedy=COPY)


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        weights = load_file(path)
    except UNREADABLE as error:
        raise _damaged(path, error) from error
    if odd := sorted({str(w.dtype).removeprefix("torch.") for w in weights.values()} - KINDS):
        raise WorkbenchError(
            f"{path}: holds weights of a kind that is not read",
            cause=", ".join(odd),
            remedy="save them as float32, float16 or bfloat16",
        )
    bad = [name for name, w in weights.items() if w.is_floating_point() and not torch.isfinite(w).all()]
    if bad:
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise WorkbenchError(
            f"{path}: holds weights that are no numbers",
            cause=f"NaN or infinite in {', '.join(bad[:3])}{more}",
            remedy="its training diverged, or the file is damaged: " + COPY,
        )
    return weights


def fresh_encoder(config: AnyConfig, seed: int) -> AnyEncoder:
    """Random weights that depend on ``seed`` alone, whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_encoder(config).eval()


def _card_text(card: EncoderCard, parameters: int) -> str:
    if card.origin is not None:
        return _foreign_text(card, card.origin, parameters)
    kind = "**simulated** scans" if card.simulated else "scans"
    return f"""# VolTA encoder

A 3D vision transformer pretrained without labels on {"+".join(card.contrasts)} brain MRI by the VolTA workbench.
Not for diagnosis.

| | |
|---|---|
| architecture | {architecture_words(card.config)} |
| parameters | {parameters:,} |
| objective | {card.objective} |
| optimiser steps | {card.steps} (seed {card.seed}) |
| seen | {kind} of {len(card.participants)} people, listed in `{CONFIG}` |
| input | prepared at {card.spacing:g} mm, preparation `{card.preparation}`; other input is refused |

Load it: `from workbench.model import load_encoder; encoder, card = load_encoder("this/folder")`.
The people listed were seen in pretraining: a test on them measures memory as well as transfer.
"""


def _foreign_text(card: EncoderCard, origin: Origin, parameters: int) -> str:
    return f"""# {card.config.name}

An encoder made elsewhere, imported into the VolTA workbench. Not for diagnosis.

| | |
|---|---|
| architecture | {architecture_words(card.config)} |
| parameters | {parameters:,} |
| format | {origin.format} |
| source | {origin.source} |
| licence of the weights, as stated at import | {origin.licence} |
| imported file | BLAKE2b {origin.weights} |
| seen | {card.seen_words} |
| input | prepared at {card.spacing:g} mm, preparation `{card.preparation}`; other input is refused |

Load it: `import workbench as wb; wb.load_encoder("this/folder")`.
"""
