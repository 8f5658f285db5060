"""Embeddings of every scan, with projections computed once and stored."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.analysis.config import EmbedConfig
from workbench.engine.device import pick_device
from workbench.errors import WorkbenchError
from workbench.model.encode import encode_scans, fingerprints, open_matching
from workbench.runs import Run, finished, start_run


def run_embed(config: EmbedConfig, *, overwrite: bool = False) -> Run:
    """``results/embeddings.parquet`` (cls, patch_mean), ``projections.parquet`` (PCA, UMAP), ``scans.parquet``
    and ``labels.parquet``: all that a viewer needs, wherever the store is.

    The vectors of a scan are those of the scan alone; only the projections depend on who else is there.
    """
    store, encoder, card = open_matching(config.store, config.encoder, init=config.init, seed=config.seed)
    inputs = fingerprints(store, config.encoder)
    if not overwrite and (done := finished(config, inputs)):
        return done
    if len(store) < 3:
        raise WorkbenchError(f"{config.store}: {len(store)} scans are too few to be projected",
                             remedy="prepare at least three")
    facts = {"seed": config.seed, "store": str(config.store), "encoder": str(config.encoder), "init": config.init,
             "objective": card.objective, "preparation": store.fingerprint, "simulated": store.simulated,
             "pretraining_participants": list(card.participants)}
    with start_run(config, overwrite=overwrite, inputs=inputs, **facts) as run:
        rows = [{"scan_id": scan, "cls": cls, "patch_mean": mean} for scan, cls, mean in
                encode_scans(encoder, store, store.scan_ids, device=pick_device(config.accelerator))]
        table = pd.DataFrame(rows)
        run.write_table("embeddings", table)
        vectors = np.stack(list(table[config.token]))
        run.write_table("projections", project(vectors, list(table["scan_id"]), config))
        seen = set(card.participants)
        scans = store.index.assign(seen_in_pretraining=store.index["participant"].isin(seen))
        run.write_table("scans", scans)
        run.write_table("labels", store.labels)
    return run


def project(vectors: np.ndarray, scan_ids: list[str], config: EmbedConfig) -> pd.DataFrame:
    """PCA and UMAP coordinates of standardised vectors ``(scans, D)``; one row a scan."""
    import umap  # 2 s, and its first fit compiles for 15 s
    from sklearn.decomposition import PCA

    scale = vectors.std(axis=0)
    standard = (vectors - vectors.mean(axis=0)) / np.where(scale > 0, scale, 1)
    pca = PCA(2, random_state=config.seed, svd_solver="full").fit_transform(standard)
    neighbours = min(config.neighbours, len(vectors) - 1)
    mapped = umap.UMAP(n_neighbors=neighbours, min_dist=config.min_dist, random_state=config.seed, n_jobs=1,
                       init="spectral" if len(vectors) > 10 else "random").fit_transform(standard)
    mapped = np.asarray(mapped)
    return pd.DataFrame({"scan_id": scan_ids, "pca_1": pca[:, 0], "pca_2": pca[:, 1],
                         "umap_1": mapped[:, 0], "umap_2": mapped[:, 1]})
