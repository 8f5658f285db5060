"""What was fine-tuned, on disk: safetensors, ``config.json`` and a model card. No pickle, as of pretraining."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field, ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor

from workbench.errors import WorkbenchError
from workbench.finetune.config import ClassifyConfig, SegmentConfig
from workbench.finetune.shared_config import FinetuneConfig
from workbench.finetune.targets import Target
from workbench.model.export import EncoderCard
from workbench.model.foreign.config import AnyConfig
from workbench.prepare.fingerprint import contrasts_in
from workbench.prepare.store import Store
from workbench.runs import Settings, replacing
from workbench.volumes.volume import Triple

FOLDER, WEIGHTS, CONFIG, CARD = "model", "{kind}.safetensors", "config.json", "README.md"
DRAWN = "drawn."
"""Before the names of the untrained network's weights, beside those of the regression on it."""


class ModelCard(Settings):
    """What must be known to apply a fine-tuned model honestly."""

    encoder: AnyConfig | None
    """Architecture of the encoder in it; None where there is none."""
    prepare: dict[str, Any]
    """Settings that its scans were prepared with."""
    preparation: str
    """Fingerprint of these settings."""
    spacing: float
    """Edge of the prepared voxels, mm."""
    participants: tuple[str, ...]
    """Everybody whom it has learnt from, in fine-tuning (validation included) or in the encoder's pretraining."""
    scans: tuple[str, ...]
    """Fingerprints of their image files."""
    objective: str
    """What the encoder was pretrained with."""
    init: Literal["pretrained", "random"]
    """Whether the encoder began with its pretrained weights."""
    seed: int
    """Of the fine-tuning."""
    simulated: bool
    """Whether any of the scans was simulated."""

    @property
    def contrasts(self) -> tuple[str, ...]:
        """What a scan has of channels, in order."""
        return contrasts_in(self.prepare)


class SegmenterCard(ModelCard):
    """Of a segment run."""

    kind: Literal["segmenter"] = "segmenter"
    network: Literal["unetr", "primus", "unet", "resenc_unet", "swin_unetr", "token_probe"]
    structures: tuple[str, ...]
    """Codes 1, 2, … of the output, in this order."""
    features: int
    input_skip: bool
    deep_supervision: bool = False
    crop: Triple
    """Edges of the windows, voxels."""
    overlap: float
    """Of the windows."""
    mirror: tuple[Literal["x", "y", "z"], ...] = ()
    """Axes along which predictions are averaged with those of the mirrored scan."""
    largest_component: bool = False
    """Whether only the largest piece of each structure is kept."""
    steps: int
    precision: Literal["32-true", "bf16-mixed"] = "32-true"


class ClassifierCard(ModelCard):
    """Of a classify run."""

    kind: Literal["classifier"] = "classifier"
    target: str
    task: Literal["classes", "regression"]
    mode: Literal["linear", "knn", "full", "cnn", "brain_volume", "pca", "untrained_cnn"]
    classes: tuple[str, ...]
    """In the order of the probabilities; empty for a number."""
    mean: float = 0.0
    """Of the number over the training scans …"""
    spread: float = 1.0
    """… and its standard deviation: numbers are learnt as z-scores."""
    lowest: float | None = None
    """Of the numbers learnt from; none below it is predicted. None in a model of before 0.3."""
    highest: float | None = None
    """Of the numbers learnt from; none above it is predicted."""
    neighbours: int = Field(20, ge=1)
    cnn_features: int = 16
    encoder_at: str = ""
    """Where the frozen encoder of `linear` and `knn` was: their weights are not copied into every probe."""
    encoder_digest: str = ""
    """Of that encoder's weights."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"


def segmenter_card(
    config: SegmentConfig, crop: Triple, store: Store, table: pd.DataFrame, card: EncoderCard | None
) -> SegmenterCard:
    """The card of a segment run.

    Args:
        config: Its settings.
        crop: Edges of its windows, voxels.
        store: Its scans.
        table: A row a scan, with its side of the split.
        card: Of the encoder, where there is one.
    """
    return SegmenterCard(
        **_learnt(config, store, table, card),
        network=config.network,
        structures=config.structures,
        features=config.features,
        input_skip=config.input_skip,
        deep_supervision=config.deep_supervision,
        crop=crop,
        overlap=config.overlap,
        mirror=config.mirror,
        largest_component=config.largest_component,
        steps=config.steps,
        precision=config.precision,
    )


def classifier_card(
    config: ClassifyConfig,
    target: Target,
    store: Store,
    table: pd.DataFrame,
    card: EncoderCard | None,
    encoder_digest: str = "",
) -> ClassifierCard:
    """The card of a classify run; arguments as of ``segmenter_card``, and the digest of a frozen encoder's weights."""
    train = (table["split"] == "train").to_numpy()
    seen = target.values[train].astype(float)
    number = {
        "mean": float(seen.mean()),
        "spread": float(seen.std()),
        "lowest": float(seen.min()),
        "highest": float(seen.max()),
    }
    return ClassifierCard(
        **_learnt(config, store, table, card),
        target=config.target,
        task=config.task,
        mode=config.mode,  # the caller leaves structure_volume out
        classes=target.classes,
        neighbours=config.neighbours,
        cnn_features=config.cnn_features,
        precision=config.precision,
        **({"encoder_at": str(config.encoder), "encoder_digest": encoder_digest} if encoder_digest else {}),
        **(number if target.regression else {}),
    )


def _learnt(config: FinetuneConfig, store: Store, table: pd.DataFrame, card: EncoderCard | None) -> dict[str, Any]:
    rows = table[table["split"] != "test"]
    of = card if config.uses_encoder else None
    return {
        "encoder": of.config if of else None,
        "prepare": store.settings,
        "preparation": store.fingerprint,
        "spacing": store.spacing,
        "participants": sorted({*rows["participant"], *(of.participants if of else ())}),
        "scans": sorted({*rows["fingerprint"], *(of.scans if of else ())}),
        "objective": of.objective if of else "none (no encoder)",
        "init": config.init,
        "seed": config.seed,
        "simulated": store.simulated,
    }


def save_model(folder: Path, card: SegmenterCard | ClassifierCard, weights: dict[str, Tensor]) -> Path:
    """Write a model; the weights last, so that a folder with weights is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / CONFIG) as partial:
        partial.write_text(card.model_dump_json(indent=2) + "\n")
    with replacing(folder / CARD) as partial:
        partial.write_text(_card_text(card, sum(w.numel() for w in weights.values())))
    with replacing(folder / WEIGHTS.format(kind=card.kind)) as partial:
        save_file({k: v.detach().cpu().contiguous() for k, v in weights.items()}, partial)
    return folder


def as_tensors(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


def read_model(folder: Path) -> tuple[SegmenterCard | ClassifierCard, dict[str, Tensor]]:
    """The card and the weights of an exported model.

    Raises:
        WorkbenchError: there is none, or it is damaged.
    """
    kinds: dict[str, type[SegmenterCard] | type[ClassifierCard]] = {
        "segmenter": SegmenterCard,
        "classifier": ClassifierCard,
    }
    found = [kind for kind in kinds if (folder / WEIGHTS.format(kind=kind)).is_file()]
    if len(found) != 1 or not (folder / CONFIG).is_file():
        raise WorkbenchError(
            f"{folder}: no fine-tuned model here",
            cause=f"{' or '.join(WEIGHTS.format(kind=kind) for kind in kinds)} with {CONFIG} is what it would hold",
            remedy="give a finished segment or classify run, or the `model` folder in it",
        )
    try:
        card = kinds[found[0]].model_validate_json((folder / CONFIG).read_text())
        return card, load_file(folder / WEIGHTS.format(kind=found[0]))
    except ValidationError as error:
        raise WorkbenchError(
            f"{folder / CONFIG}: cannot be read",
            cause="; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())[:300],
            remedy="it is damaged, or of another version: fine-tune again",
        ) from error
    except Exception as error:  # safetensors raises its own kinds
        raise WorkbenchError(
            f"{folder}: the weights cannot be read",
            cause=f"{type(error).__name__}: {error}"[:300],
            remedy="fine-tune again with --overwrite",
        ) from error


def _card_text(card: SegmenterCard | ClassifierCard, numbers: int) -> str:
    kind = "**simulated** scans" if card.simulated else "scans"
    if isinstance(card, SegmenterCard):
        what, gives = f"network {card.network}", f"codes 1, 2, … are {', '.join(card.structures)}; 0 is background"
    else:
        what, gives = f"mode {card.mode}", f"{card.target}: {', '.join(card.classes) or 'a number'}"
    if isinstance(card, ClassifierCard) and card.encoder_at:
        what += f", on the frozen encoder at {card.encoder_at} (its weights are there, not here)"
    encoder = "none" if card.encoder is None else f"{card.encoder.name}, {card.init} weights ({card.objective})"
    return f"""# VolTA {card.kind}

Fine-tuned on {"+".join(card.contrasts)} brain MRI by the VolTA workbench. Not for diagnosis.

| | |
|---|---|
| what | {what}, {numbers:,} numbers |
| gives | {gives} |
| encoder | {encoder} |
| learnt from | {kind} of {len(card.participants)} people (pretraining included), listed in `{CONFIG}` |
| input | prepared at {card.spacing:g} mm, preparation `{card.preparation}`; a scan is prepared so by itself |

Apply it: `workbench predict this/folder SCAN.nii.gz --out out`, or
`import workbench as wb; wb.load_{card.kind}("this/folder").predict("SCAN.nii.gz")`.
A score on somebody listed measures memory as well as what was learnt.
"""
