"""Where would this scan lie? A scan that no store holds, prepared as the store's, embedded, and placed against the
frozen reference of an embed run. Other scans do not move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError
from workbench.explorer.parts.live import open_encoder
from workbench.explorer.stored.catalog import Catalog
from workbench.volumes import Volume

LISTED = 5


@dataclass(frozen=True)
class Placed:
    places: pd.DataFrame
    """One row: umap_1, umap_2, tsne_1, tsne_2, pca_1, pca_2."""
    neighbours: pd.DataFrame
    """scan_id, distance: the nearest scans of the reference in the full space (standardised, Euclidean)."""
    farther: float
    """Share of the reference's scans that are nearer to their own nearest one than this scan is to its: 1 is an
    outlier, and then its place in UMAP and t-SNE says little."""
    mask: str
    """What was taken for the brain."""
    n: int
    """Scans of the reference."""


def place(volume: Volume, catalog: Catalog, run: str, step: Callable[[float, str], None]) -> Placed:
    """Prepare, embed and place one scan.

    Args:
        volume: In its own space.
        catalog: Of the runs.
        run: Embed run whose encoder and reference are taken.
        step: Called between steps; see ``Live.start``.

    Raises:
        WorkbenchError: the store, the encoder or the reference is not at hand, or the scan cannot be prepared.
    """
    step(0.1, "Loading the encoder …")
    store, encoder, _ = open_encoder(catalog, run)
    from workbench.analysis.embed.reference import load_reference
    from workbench.model.encode import padded_box
    from workbench.prepare.config import PrepareConfig
    from workbench.prepare.conform import conform
    from workbench.runs import Run

    config = catalog.run(run).config
    token = str(config.get("token", "cls"))
    if token not in ("cls", "patch_mean"):
        raise WorkbenchError(
            f"run '{run}': its picture is of '{token}'",
            cause="an own scan has no labels to find it by",
            remedy="choose an embedding of cls or patch_mean",
        )
    reference = load_reference(catalog.run(run).path)
    step(0.3, "Preparing the scan as the store's …")
    settings = {k: v for k, v in Run(store.path).config.items() if k != "job"}
    if settings.get("mask") == "given":
        settings["mask"] = "auto"  # there is no mask file of this scan; which mask it became is told
    done = conform(volume, PrepareConfig.build(settings))
    step(0.7, "Encoding it …")
    import torch

    shape = done.scan.data.shape
    low, high = padded_box(shape, encoder.config.patch_xyz)
    padded = np.pad(done.scan.data.astype(np.float32), [(-a, b - n) for a, b, n in zip(low, high, shape, strict=True)])
    with torch.no_grad():
        tokens = encoder(torch.from_numpy(padded)[None, None])
    vector = (tokens.cls_BD[0] if token == "cls" else tokens.patches_BPD[0].float().mean(0)).float().numpy()
    step(0.95, "Placing it …")
    return placed(reference, vector, str(done.facts["mask_said"]))


def placed(reference: Any, vector: np.ndarray, mask: str) -> Placed:
    """The place of a vector ``(D,)`` among those of a reference."""
    from scipy.spatial.distance import cdist

    standard = reference.standardise(vector[None])
    distance = cdist(standard, reference.vectors)[0]
    order = np.argsort(distance, kind="stable")[:LISTED]
    near = pd.DataFrame({"scan_id": [reference.scan_ids[i] for i in order], "distance": distance[order]})
    some = reference.vectors[:2000]  # the distances of a reference among itself, bounded
    own = cdist(some, some) + np.diag(np.full(len(some), np.inf))
    return Placed(
        reference.place(["own"], vector[None]),
        near,
        float((own.min(1) < distance[order[0]]).mean()),
        mask,
        len(reference.scan_ids),
    )
