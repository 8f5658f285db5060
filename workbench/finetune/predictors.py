"""Predictors that need no gradient: regression and neighbours on frozen features, and the plain rivals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from tqdm.auto import tqdm

from workbench.engine.streams import Purpose, stream
from workbench.errors import WorkbenchError
from workbench.finetune.config import ClassifyConfig
from workbench.finetune.segment_data import class_map, to_classes
from workbench.finetune.targets import Target, with_target
from workbench.finetune.train_classifier import predict_scans
from workbench.model.contract import AnyEncoder
from workbench.model.encode import encode_scans
from workbench.prepare.one import Scans
from workbench.prepare.store import Store
from workbench.volumes import read_volume

PCA_EDGE = 24  # voxels along each axis of the pictures that `pca` sees
PENALTIES = tuple(10.0**n for n in range(-4, 3))
FOLDS, FALLBACK = 5, 0.01
TEMPERATURE = 0.07  # of neighbours' votes (DINO)


def features_of(
    mode: str,
    encoder: AnyEncoder | None,
    store: Store,
    table: pd.DataFrame,
    config: ClassifyConfig,
    device: str,
    *,
    network: nn.Module | None = None,
) -> np.ndarray:
    """What the regression sees of each scan ``(scans, features)``, of that scan alone; ``network`` is that of
    ``untrained_cnn``."""
    scans = list(table["scan_id"])
    if network is not None:
        return predict_scans(network.to(device), None, store, scans, config, device).numpy()
    if mode in ("linear", "knn"):
        assert encoder is not None
        return np.stack(
            [
                np.concatenate([cls, mean])
                for _, cls, mean in encode_scans(encoder, store, scans, device=device, desc="features")
            ]
        )
    if mode == "brain_volume":
        return table[["brain_ml"]].to_numpy(float)
    if mode == "structure_volume":
        return structure_volumes(store, table, structures_of(store, config))
    return np.stack([small_pictures(store, s) for s in tqdm(scans, desc="intensities", unit="scan")])


def structures_of(store: Store, config: ClassifyConfig) -> tuple[str, ...]:
    """Those whose volumes are measured: as set, or all that every labelled scan with a target has."""
    if config.structures:
        return config.structures
    rows = store.index[store.index["has_seg"] & with_target(store.index, config.target, config.classes)]
    known = sorted(set(store.labels["structure"])) if len(rows) else []
    return tuple(name for name in known if all(store.codes(scan, name) for scan in rows["scan_id"]))


def structure_volumes(store: Store, table: pd.DataFrame, structures: tuple[str, ...]) -> np.ndarray:
    """ml of each structure in each scan's own segmentation ``(scans, structures)``."""
    out = np.zeros((len(table), len(structures)))
    rows = zip(table["scan_id"], table["seg_path"], strict=True)
    for i, (scan, path) in enumerate(tqdm(rows, total=len(table), desc="volumes", unit="scan")):
        labels = read_volume(path, labels=True)
        classes = to_classes(labels.data, class_map(store, scan, structures))
        counts = np.bincount(classes.ravel(), minlength=len(structures) + 1)[1:]
        out[i] = counts * labels.grid.voxel_ml
    return out


def small_pictures(store: Scans, scan: str) -> np.ndarray:
    """`small_picture` of each contrast, one after the other."""
    return np.concatenate([small_picture(channel) for channel in store.read_channels(scan)])


def small_picture(scan: np.ndarray) -> np.ndarray:
    """The brain's box as ``24³`` averaged voxels, flat, float32."""
    box = torch.from_numpy(scan.astype(np.float32))[None, None]
    return torch.nn.functional.adaptive_avg_pool3d(box, PCA_EDGE).numpy().ravel()


def choose_penalty(
    features: np.ndarray, target: Target, train: np.ndarray, people: np.ndarray, config: ClassifyConfig
) -> float:
    """The inverse penalty with the least cross-validated loss over the training people, or as set.

    Up to five folds of people, classes spread evenly over them; log loss or squared error, weighed as in training. Of
    equal losses the stronger penalty wins. With a class of one person nothing can be held out: then it is 0.01.
    """
    if config.inverse_penalty is not None:
        return config.inverse_penalty
    rows = np.flatnonzero(train)
    rng, fold = stream(config.seed, Purpose.FOLDS), np.zeros(len(train), int)
    groups = [rows] if target.regression else [rows[target.values[rows] == c] for c in range(len(target.classes))]
    members = [rng.permutation(sorted(set(people[group]))) for group in groups]
    folds = min(FOLDS, *map(len, members)) if len(members) > 1 else min(FOLDS, len(members[0]))
    if folds < 2:
        return FALLBACK
    for names in members:
        place = {name: i % folds for i, name in enumerate(names)}
        for row in rows:
            fold[row] = place.get(people[row], fold[row])
    losses = []
    for penalty in PENALTIES:
        total = 0.0
        for number in range(folds):
            held = train & (fold == number)
            found = regression(features, target, train & ~held, config, penalty)[held]
            weights, truth = target.weights[held], target.values[held]
            if target.regression:
                total += float((weights * (found - truth) ** 2).sum())
            else:
                total -= float((weights * np.log(np.clip(found[np.arange(len(truth)), truth], 1e-12, 1))).sum())
        losses.append(total)
    return PENALTIES[int(np.argmin(losses))]


def regression(
    features: np.ndarray, target: Target, train: np.ndarray, config: ClassifyConfig, inverse_penalty: float
) -> np.ndarray:
    """Penalised regression on standardised features: probabilities ``(scans, classes)``, or numbers ``(scans,)``."""
    return apply_regression(fit_regression(features, target, train, config, inverse_penalty), features, target, train)


def apply_regression(model: Pipeline, features: np.ndarray, target: Target, train: np.ndarray) -> np.ndarray:
    """Probabilities ``(scans, classes)``, or numbers ``(scans,)``, see ``Target.numbers``."""
    if target.regression:
        return target.numbers(model.predict(features), train)
    return model.predict_proba(features)


def regression_arrays(model: Pipeline) -> dict[str, np.ndarray]:
    """The numbers of a fitted regression: a chain of (x - shift) / scale and one projection, then a linear map."""
    *steps, last = model.named_steps.values()
    arrays: dict[str, np.ndarray] = {"coef": np.atleast_2d(last.coef_), "intercept": np.atleast_1d(last.intercept_)}
    for step in steps:
        if isinstance(step, PCA):
            arrays |= {"pca_mean": step.mean_, "pca_components": step.components_}
        else:
            name = "pca_standard" if "pca_mean" in arrays else "standard"
            arrays |= {f"{name}_mean": step.mean_, f"{name}_scale": step.scale_}
    return {name: np.asarray(array, np.float64) for name, array in arrays.items()}


def neighbour_arrays(features: np.ndarray, target: Target, train: np.ndarray) -> dict[str, np.ndarray]:
    """What votes for a new scan: the training scans' vectors of length 1, their truth and their weights."""
    scaler = StandardScaler().fit(features[train])
    vectors = scaler.transform(features[train])
    return {
        "standard_mean": scaler.mean_,
        "standard_scale": scaler.scale_,
        "vectors": vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9),
        "truth": target.values[train].astype(np.float64),
        "weights": target.weights[train].astype(np.float64),
    }


def fit_regression(
    features: np.ndarray, target: Target, train: np.ndarray, config: ClassifyConfig, inverse_penalty: float
) -> Pipeline:
    """The regression itself; numbers are learnt as z-scores of the training scans.

    ``pca`` standardises, projects on the training scans' components, and standardises those.
    """
    steps: list = [StandardScaler()]
    if config.mode == "pca":
        count = min(config.components, int(train.sum()) - 1, features.shape[1])
        steps += [PCA(count, svd_solver="full"), StandardScaler()]
    if target.regression:
        # the target's own scale must not decide how strong the penalty is
        mean, spread = target.values[train].mean(), target.values[train].std()
        model = make_pipeline(*steps, Ridge(alpha=1 / inverse_penalty))
        model.fit(features[train], (target.values[train] - mean) / spread, ridge__sample_weight=target.weights[train])
        return model
    model = make_pipeline(*steps, LogisticRegression(max_iter=2000, C=inverse_penalty))
    model.fit(features[train], target.values[train], logisticregression__sample_weight=target.weights[train])
    return model


def neighbours(
    features: np.ndarray, target: Target, train: np.ndarray, people: np.ndarray, config: ClassifyConfig
) -> np.ndarray:
    """Votes of the nearest training scans by cosine similarity after standardising, weighed by
    exp(similarity / 0.07) (DINO, arXiv 2104.14294) and by class. A training scan's own person does not vote for it.

    Returns:
        Probabilities ``(scans, classes)``, or numbers ``(scans,)``.
    """
    scaled = StandardScaler().fit(features[train]).transform(features)
    scaled /= np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-9)
    known = np.flatnonzero(train)
    if len(set(people[known])) < 2:
        raise WorkbenchError("knn needs two training people or more", remedy="use a larger --label_fraction")
    similar = scaled @ scaled[known].T
    similar[people[:, None] == people[known]] = -np.inf
    return votes_of(similar, target.values[known], target.weights[known], config.neighbours, len(target.classes))


def votes_of(similar: np.ndarray, truth: np.ndarray, weights: np.ndarray, neighbours: int, classes: int) -> np.ndarray:
    """The vote of the nearest.

    Args:
        similar: Cosines ``(scans, known)``; -inf has no vote.
        truth: Class or number of each known scan.
        weights: Of each known scan.
        neighbours: How many vote, at most.
        classes: How many there are; 0 for a number.

    Returns:
        Probabilities ``(scans, classes)``, or numbers ``(scans,)``.
    """
    k = min(neighbours, similar.shape[1])
    nearest = np.argsort(-similar, axis=1, kind="stable")[:, :k]
    near = np.take_along_axis(similar, nearest, axis=1)
    votes = np.exp((near - near[:, :1]) / TEMPERATURE) * weights[nearest]
    votes /= votes.sum(axis=1, keepdims=True)
    if not classes:
        return (votes * truth[nearest]).sum(axis=1)
    return np.stack([(votes * (truth[nearest] == code)).sum(axis=1) for code in range(classes)], axis=1)
