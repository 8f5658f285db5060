"""The frozen reference of a picture, fitted: what its axes and coordinates are made from."""

from __future__ import annotations

import importlib.metadata

import numpy as np

from workbench.analysis.config import EmbedConfig
from workbench.analysis.embed.compiled import import_umap
from workbench.predict.reference import PLACED_BY, Reference


def fit_reference(scan_ids: list[str], vectors: np.ndarray, config: EmbedConfig, encoder: str = "") -> Reference:
    """PCA, UMAP and t-SNE of standardised vectors ``(scans, D)``, everything seeded."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    spread, n = vectors.std(axis=0), len(vectors)
    mean, scale = vectors.mean(axis=0), np.where(spread > 1e-12, spread, 1).astype(np.float32)
    standard = ((vectors - mean) / scale).astype(np.float32)
    axes = PCA(2, random_state=config.seed, svd_solver="full").fit(standard).components_
    neighbours, perplexity = min(config.neighbours, n - 1), min(config.perplexity, (n - 1) / 3)
    mapped = (
        import_umap()
        .UMAP(
            n_neighbors=neighbours,
            min_dist=config.min_dist,
            random_state=config.seed,
            n_jobs=1,
            init="spectral" if n > 10 else "random",
        )
        .fit_transform(standard)
    )
    # t-SNE of the first 50 components, as its authors do: the rest is noise that costs time
    reduced = PCA(min(50, *standard.shape), svd_solver="full").fit_transform(standard)
    tsne = TSNE(
        perplexity=perplexity, init="pca", learning_rate="auto", random_state=config.seed, n_jobs=1
    ).fit_transform(reduced)
    facts = {
        "token": config.token,
        "encoder": encoder,
        "init": config.init,
        "seed": config.seed,
        "umap": {"neighbours": neighbours, "min_dist": config.min_dist},
        "tsne": {"perplexity": perplexity},
        "placing": f"PCA exact; UMAP and t-SNE by the {PLACED_BY} nearest reference scans, weights 1 / distance",
        "versions": {p: importlib.metadata.version(p) for p in ("umap-learn", "scikit-learn", "numpy")},
    }
    return Reference(
        scan_ids,
        standard,
        mean.astype(np.float32),
        scale,
        axes.astype(np.float32),
        np.asarray(mapped, np.float32),
        np.asarray(tsne, np.float32),
        facts,
    )
