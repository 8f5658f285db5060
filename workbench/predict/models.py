"""A fine-tuned model from its folder: the exported one, or the checkpoint of a run from before models were exported."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from workbench.engine.checkpoint import latest_checkpoint
from workbench.errors import WorkbenchError
from workbench.finetune.config import ClassifyConfig, SegmentConfig
from workbench.finetune.export import CONFIG, FOLDER, WEIGHTS, ClassifierCard, SegmenterCard, read_model
from workbench.finetune.networks import crop_of
from workbench.model.contract import AnyEncoder
from workbench.model.export import build_encoder, load_encoder
from workbench.model.foreign.config import AnyConfig
from workbench.predict.scans import folder_of
from workbench.prepare.store import open_store
from workbench.runs import Run
from workbench.runs.folder import from_there

Model = tuple[SegmenterCard | ClassifierCard, dict[str, Tensor]]
JOBS: dict[Literal["segmenter", "classifier"], str] = {"segmenter": "segment", "classifier": "classify"}


def kind_of(model: str | os.PathLike[str] | Run) -> Literal["encoder", "segmenter", "classifier"]:
    """What a folder holds. What is no folder is taken for the name of an encoder."""
    path = folder_of(model)
    inside = path / FOLDER if (path / FOLDER).is_dir() else path
    for kind in JOBS:
        if (inside / WEIGHTS.format(kind=kind)).is_file():
            return kind
    if (path / "status.json").is_file():
        return {job: kind for kind, job in JOBS.items()}.get(Run(path).job, "encoder")
    return "encoder"


def find_model(
    model: str | os.PathLike[str] | Run,
    kind: Literal["segmenter", "classifier"],
    *,
    store: str | os.PathLike[str] | Run | None = None,
) -> Model:
    """The card and the weights of a model of one kind.

    Args:
        model: A segment or classify run, or the ``model`` folder in it.
        kind: What it must be.
        store: Of its scans; only asked of a run from before models were exported, where its own is no longer there.

    Raises:
        WorkbenchError: it is something else, is not finished, or is damaged.
    """
    path = folder_of(model)
    inside = path / FOLDER if (path / FOLDER / CONFIG).is_file() else path
    if not (inside / CONFIG).is_file():
        run = Run(path).require_ok()
        if run.job != JOBS[kind]:
            raise _other(path, kind, f"a run of '{run.job}'")
        return _from_checkpoint(run, store)
    if (inside / "encoder.safetensors").is_file():
        raise _other(path, kind, "a pretrained encoder")
    card, weights = read_model(inside)
    if card.kind != kind:
        raise _other(path, kind, f"a {card.kind}")
    return card, weights


def _other(path: Path, kind: Literal["segmenter", "classifier"], what: str) -> WorkbenchError:
    return WorkbenchError(
        f"{path}: not a {kind}",
        cause=f"it is {what}",
        remedy=f"give the folder that `workbench {JOBS[kind]}` wrote",
    )


def fresh_architecture(config: AnyConfig | None) -> AnyEncoder | None:
    """An encoder without its weights, which follow; None for a network that has none."""
    return None if config is None else build_encoder(config).eval()


def load_weights(model: nn.Module, weights: dict[str, Tensor], who: str) -> None:
    """Put weights into a network.

    Raises:
        WorkbenchError: they do not fit.
    """
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise WorkbenchError(
            f"{who}: the weights do not fit its settings", cause=str(error)[:300], remedy="fine-tune again"
        ) from error


def _from_checkpoint(run: Run, given: str | os.PathLike[str] | Run | None) -> Model:
    """Of a segment run, or a classify run that trained a network; a probe of those days kept no weights."""
    values: dict[str, Any] = {k: v for k, v in run.config.items() if k != "job"}
    config = (SegmentConfig if run.job == "segment" else ClassifyConfig).build(values)
    checkpoint = latest_checkpoint(run.path / "checkpoints")
    if checkpoint is None:
        raise WorkbenchError(
            f"{run.path}: has no model",
            cause="its checkpoints folder is empty, and it was made before models were exported"
            if run.job == "segment" or config.mode in ("full", "cnn")  # type: ignore[union-attr]
            else f"mode {config.mode}: none is exported for it, or the run is from before models were exported",  # type: ignore[union-attr]
            remedy="run it again with --overwrite",
        )
    where = from_there(config.encoder, run.path) if config.encoder else None
    encoder = load_encoder(where, init="random")[0] if where else None
    facts, preparation = run.provenance, str(run.provenance["preparation"])
    store = open_store(from_there(config.store, run.path) if given is None else folder_of(given))
    store.require_fingerprint(preparation, str(run.path))
    sides: dict[str, list[str]] = facts.get("participants", {})
    common = {
        "encoder": encoder.config if encoder is not None and config.uses_encoder else None,
        "prepare": store.settings,
        "preparation": preparation,
        "spacing": store.spacing,
        "participants": sorted({p for side, people in sides.items() if side != "test" for p in people}),
        "scans": (),
        "objective": str(facts.get("objective", "")),
        "init": config.init,
        "seed": config.seed,
        "simulated": run.simulated,
        "precision": config.precision,
    }
    card: SegmenterCard | ClassifierCard
    if isinstance(config, SegmentConfig):
        card = SegmenterCard(
            **common,
            **{k: getattr(config, k) for k in ("network", "structures", "features", "input_skip", "overlap", "steps")},
            deep_supervision=config.deep_supervision,
            largest_component=config.largest_component,
            crop=crop_of(config, encoder),
        )
    else:
        card = ClassifierCard(
            **common,
            **{k: getattr(config, k) for k in ("target", "task", "mode", "neighbours", "cnn_features")},
            classes=tuple(facts.get("classes", ())),
        )
    try:
        return card, load_file(checkpoint / "objective.safetensors")
    except Exception as error:  # safetensors raises its own kinds
        raise WorkbenchError(
            f"{checkpoint}: cannot be read",
            cause=f"{type(error).__name__}: {error}"[:300],
            remedy="run it again with --overwrite",
        ) from error


def on_device(model: nn.Module, device: str) -> nn.Module:
    """The network in use, on ``device``."""
    # channels last, as it was trained: the same sums in the same order
    model.to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return model.eval()
