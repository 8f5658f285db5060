"""The frozen reference of a picture: what its axes and coordinates were made from, on disk without pickle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from workbench.errors import ConfigError, WorkbenchError
from workbench.predict.nearest import nearest_rows
from workbench.runs import replacing

WEIGHTS, FACTS = "reference.safetensors", "reference.json"
PLACED_BY = 5  # nearest reference scans that a new one is placed between


@dataclass(frozen=True)
class Reference:
    """Standardised vectors of the reference scans, the PCA's axes, and UMAP's and t-SNE's coordinates."""

    scan_ids: list[str]
    vectors: np.ndarray  # (n, D) standardised
    mean: np.ndarray  # (D,)
    scale: np.ndarray  # (D,)
    axes: np.ndarray  # (2, D)
    umap: np.ndarray  # (n, 2)
    tsne: np.ndarray  # (n, 2)
    facts: dict[str, Any]

    def standardise(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors ``(n, D)`` by mean and deviation of the reference, float32."""
        return ((vectors - self.mean) / self.scale).astype(np.float32)

    def place(self, scan_ids: list[str], vectors: np.ndarray) -> pd.DataFrame:
        """Coordinates of scans, each by itself. PCA is exact. UMAP and t-SNE give a reference scan its own
        coordinates and put any other between its ``PLACED_BY`` nearest reference scans in the full space, weighted by
        the inverse of the distance: a new scan far from all still lands among them, so look at its distances too.
        """
        standard = self.standardise(vectors)
        # row by row: a matrix product of several rows may round otherwise than that of one
        pca = np.stack([self.axes @ row for row in standard])
        place = {scan: i for i, scan in enumerate(self.scan_ids)}
        known = np.array([place.get(scan, -1) for scan in scan_ids])
        both = np.concatenate([self.umap, self.tsne], axis=1)
        near, distances = nearest_rows(standard, self.vectors, PLACED_BY)  # no row depends on the others
        weights = 1 / np.maximum(distances, 1e-6)
        out = ((both[near] * weights[:, :, None]).sum(1) / weights.sum(1, keepdims=True)).astype(np.float32)
        mine = known >= 0
        mine[mine] = np.abs(self.vectors[known[mine]] - standard[mine]).max(axis=1, initial=0) < 1e-3
        out[mine] = both[known[mine]]
        return pd.DataFrame(
            {
                "scan_id": scan_ids,
                "pca_1": pca[:, 0],
                "pca_2": pca[:, 1],
                "umap_1": out[:, 0],
                "umap_2": out[:, 1],
                "tsne_1": out[:, 2],
                "tsne_2": out[:, 3],
                "in_reference": mine,
            }
        )

    def require(self, encoder: str, init: str, seed: int, token: str, who: Path) -> None:
        """Refuse a reference that was made with another encoder or of another embedding."""
        mine = {"encoder": encoder, "init": init, "token": token} | ({"seed": seed} if init == "random" else {})
        other = {name: self.facts.get(name) for name in mine}
        if mine != other:
            wrong = ", ".join(f"{k}: {other[k]} there, {mine[k]} now" for k in mine if mine[k] != other[k])
            raise ConfigError(
                f"{who}: its reference was made otherwise",
                cause=wrong,
                remedy="embed with the encoder and the token of the reference",
            )

    def save(self, folder: Path) -> None:
        """Write it into ``folder``: one safetensors file and its facts."""
        folder.mkdir(exist_ok=True)
        arrays = {
            k: np.ascontiguousarray(getattr(self, k), np.float32)
            for k in ("vectors", "mean", "scale", "axes", "umap", "tsne")
        }
        with replacing(folder / FACTS) as partial:
            partial.write_text(json.dumps({**self.facts, "scan_ids": self.scan_ids}, indent=1) + "\n")
        with replacing(folder / WEIGHTS) as partial:
            save_file(arrays, partial)


def load_reference(run: Path) -> Reference:
    """The reference that an embed run made.

    Raises:
        WorkbenchError: there is none, or it is damaged.
    """
    folder = run / "reference"
    try:
        arrays = load_file(folder / WEIGHTS)
        facts = json.loads((folder / FACTS).read_text())
        return Reference(
            facts.pop("scan_ids"),
            arrays["vectors"],
            arrays["mean"],
            arrays["scale"],
            arrays["axes"],
            arrays["umap"],
            arrays["tsne"],
            facts,
        )
    except Exception as error:  # safetensors raises its own kinds
        raise WorkbenchError(
            f"{run}: no reference here",
            cause=f"{type(error).__name__}: {error}"[:200],
            remedy="give an embed run that was made without --reference",
        ) from error
