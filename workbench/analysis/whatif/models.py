"""What is asked of a changed scan: the models of a segment and a classify run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from workbench.errors import WorkbenchError
from workbench.predict.classifier import ScanClassifier, load_classifier
from workbench.predict.segmenter import ScanSegmenter, load_segmenter
from workbench.prepare.store import Store
from workbench.runs import Run

if TYPE_CHECKING:
    from workbench.finetune.config import ClassifyConfig

TOLERANCE = 1e-3  # between a score made again and the one the run wrote


def open_segmenter(path: Path, store: Store, device: str) -> ScanSegmenter:
    """The network of a segment run on the scans of a store."""
    return load_segmenter(task_run(path, "segment", store), device=device, prepare=store.path)


class Scorer:
    """The score of a classify run for a volume or its vectors; above 0.5 it decides for the positive class."""

    def __init__(self, path: Path, store: Store, vectors: pd.DataFrame, device: str) -> None:
        from workbench.finetune.config import ClassifyConfig

        run = task_run(path, "classify", store)
        config = ClassifyConfig.build({k: v for k, v in run.config.items() if k != "job"})
        if config.mode not in ("linear", "full") or "positive" not in run.provenance:
            raise WorkbenchError(
                f"{path}: cannot be asked about a changed scan",
                cause=f"mode {config.mode}, classes {', '.join(run.provenance['classes']) or 'none'}",
                remedy="give a classify run of mode linear or full with two classes",
            )
        self.model: ScanClassifier | None = None
        if config.mode == "full" or (path / "model").is_dir():
            self.model = load_classifier(run, device=device, prepare=store.path, encoder=config.encoder)
        if config.mode == "linear":
            self._check(run, config, vectors)

    def _check(self, run: Run, config: ClassifyConfig, vectors: pd.DataFrame) -> None:
        """A probe must give the scores that its run wrote; one of before 0.2 kept no weights and is fitted again."""
        from workbench.finetune.predictors import fit_regression
        from workbench.finetune.targets import read_target

        table = run.read_table("predictions").merge(vectors, on="scan_id", how="left")
        remedy = "embed with the encoder, the weights and the store of the classify run"
        if table["cls"].isna().any():
            raise WorkbenchError(f"{run.path}: some of its scans are not embedded", remedy=remedy)
        features = np.stack([np.concatenate([c, m]) for c, m in zip(table["cls"], table["patch_mean"], strict=True)])
        if self.model is None:
            self.probe = fit_regression(
                features,
                read_target(table.assign(**{config.target: table["truth"]}), config),
                (table["split"] == "train").to_numpy(),
                config,
                float(run.provenance["inverse_penalty_used"]),
            )
        worst = max(abs(self._of(row) - score) for row, score in zip(features, table["score"], strict=True))
        if worst > TOLERANCE:
            raise WorkbenchError(
                f"{run.path}: its scores cannot be made again", cause=f"they differ by up to {worst:.3g}", remedy=remedy
            )

    def _of(self, features: np.ndarray) -> float:
        if self.model is not None:
            return self.model.score_features(features)
        return float(self.probe.predict_proba(features[None])[0, 1])

    @torch.no_grad()
    def score(self, volume_11XYZ: Tensor, cls: np.ndarray, patch_mean: np.ndarray) -> float:
        if self.model is not None and self.model.network is not None:
            return self.model.score(volume_11XYZ)
        return self._of(np.concatenate([cls, patch_mean]))


def task_run(path: Path, job: str, store: Store) -> Run:
    run = Run(path).require_job(job, f"a {job} run")
    store.require_fingerprint(str(run.provenance["preparation"]), str(path))
    return run
