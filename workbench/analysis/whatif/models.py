"""What is asked of a changed scan: the models of a segment and a classify run, read back from their folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from workbench.engine.checkpoint import latest_checkpoint
from workbench.errors import WorkbenchError
from workbench.finetune.windows import window_logits
from workbench.model.export import load_encoder
from workbench.prepare.store import Store
from workbench.runs import Run

if TYPE_CHECKING:
    from workbench.finetune.config import ClassifyConfig

TOLERANCE = 1e-3  # between a score made again and the one the run wrote


class Segmenter:
    """The network of a segment run on an array."""

    def __init__(self, path: Path, store: Store, device: str) -> None:
        from workbench.finetune.config import SegmentConfig
        from workbench.finetune.networks import build_network, crop_of

        run = task_run(path, "segment", store)
        config = SegmentConfig.build(_settings(run))
        self.structures, self.overlap, self.device = config.structures, config.overlap, device
        encoder = load_encoder(config.encoder, init="random")[0] if config.encoder else None
        self.crop = crop_of(config, encoder)
        self.model = build_network(config, encoder, self.crop).to(device).eval()
        _load(self.model, run)

    def classes(self, scan: np.ndarray) -> np.ndarray:
        """Class of each voxel of the prepared grid, 0 background, then the structures in order."""
        logits = window_logits(self.model, scan, crop=self.crop, overlap=self.overlap, device=self.device)
        return logits.argmax(0).cpu().numpy()


class Scorer:
    """The score of a classify run for a volume or its vectors; above 0.5 it decides for the positive class."""

    def __init__(self, path: Path, store: Store, vectors: pd.DataFrame, device: str) -> None:
        from workbench.finetune.config import ClassifyConfig

        run = task_run(path, "classify", store)
        self.path, self.device = path, device
        self.network: nn.Module | None = None
        config = ClassifyConfig.build(_settings(run))
        if config.mode not in ("linear", "full") or "positive" not in run.provenance:
            raise WorkbenchError(
                f"{path}: cannot be asked about a changed scan",
                cause=f"mode {config.mode}, classes {', '.join(run.provenance['classes']) or 'none'}",
                remedy="give a classify run of mode linear or full with two classes",
            )
        if config.mode == "linear":
            self._fit_again(run, config, vectors)
            return
        from workbench.finetune.train_classifier import build_classifier

        encoder = load_encoder(config.encoder, init="random")[0] if config.encoder else None
        self.network = build_classifier(encoder, 2, config).to(device).eval()
        _load(self.network, run)

    def _fit_again(self, run: Run, config: ClassifyConfig, vectors: pd.DataFrame) -> None:
        """A linear probe keeps no weights: it is fitted again on the same vectors, and must give the same scores."""
        from workbench.finetune.predictors import fit_regression
        from workbench.finetune.targets import read_target

        table = run.read_table("predictions").merge(vectors, on="scan_id", how="left")
        remedy = "embed with the encoder, the weights and the store of the classify run"
        if table["cls"].isna().any():
            raise WorkbenchError(f"{run.path}: some of its scans are not embedded", remedy=remedy)
        features = np.stack([np.concatenate([c, m]) for c, m in zip(table["cls"], table["patch_mean"], strict=True)])
        target = read_target(table.assign(**{config.target: table["truth"]}), config)
        self.probe = fit_regression(
            features,
            target,
            (table["split"] == "train").to_numpy(),
            config,
            float(run.provenance["inverse_penalty_used"]),
        )
        worst = float(np.abs(self.probe.predict_proba(features)[:, 1] - table["score"]).max())
        if worst > TOLERANCE:
            raise WorkbenchError(
                f"{run.path}: its scores cannot be made again", cause=f"they differ by up to {worst:.3g}", remedy=remedy
            )

    @torch.no_grad()
    def score(self, volume_11XYZ: Tensor, cls: np.ndarray, patch_mean: np.ndarray) -> float:
        if self.network is None:
            return float(self.probe.predict_proba(np.concatenate([cls, patch_mean])[None])[0, 1])
        return float(self.network(volume_11XYZ.to(self.device)).float().softmax(1)[0, 1])


def task_run(path: Path, job: str, store: Store) -> Run:
    run = Run(path).require_ok()
    if run.job != job:
        raise WorkbenchError(
            f"{path}: not a {job} run",
            cause=f"it is a run of '{run.job}'",
            remedy=f"give the folder that `workbench {job}` wrote",
        )
    store.require_fingerprint(str(run.provenance["preparation"]), str(path))
    return run


def _settings(run: Run) -> dict[str, Any]:
    """The run's configuration as its class takes it."""
    return {k: v for k, v in run.config.items() if k != "job"}


def _load(model: nn.Module, run: Run) -> None:
    checkpoint = latest_checkpoint(run.path / "checkpoints")
    if checkpoint is None:
        raise WorkbenchError(
            f"{run.path}: has no checkpoint",
            cause="its checkpoints folder is empty",
            remedy="run it again with --overwrite",
        )
    try:
        model.load_state_dict(load_file(checkpoint / "objective.safetensors"))
    except Exception as error:
        raise WorkbenchError(
            f"{checkpoint}: cannot be read",
            cause=f"{type(error).__name__}: {error}"[:300],
            remedy="run it again with --overwrite",
        ) from error
