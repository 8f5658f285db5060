"""Predict a label or a number of the person: on frozen features, by training, or from what a ruler would tell."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
from torch import Tensor
from tqdm.auto import tqdm

from workbench.engine.device import pick_device
from workbench.errors import WorkbenchError
from workbench.finetune.assignment import assign, facts_of, open_parts
from workbench.finetune.config import ClassifyConfig
from workbench.finetune.export import DRAWN, FOLDER, as_tensors, classifier_card, save_model
from workbench.finetune.inputs import inputs_of
from workbench.finetune.predictors import (
    apply_regression,
    choose_penalty,
    features_of,
    fit_regression,
    neighbour_arrays,
    neighbours,
    regression_arrays,
    structures_of,
)
from workbench.finetune.scores import constant_guess, reliability_table, score_table
from workbench.finetune.targets import Target, changing_people, read_target, with_target
from workbench.finetune.train_classifier import build_classifier, predict_scans, train_network
from workbench.model.contract import AnyEncoder
from workbench.prepare.store import Store
from workbench.runs import Run, finished, start_run


def run_classify(config: ClassifyConfig, *, overwrite: bool = False) -> Run:
    """Train on the training people and score the others.

    ``results/predictions.parquet`` has a row a scan, ``scores.parquet`` every score of each side by person with its
    interval, ``reliability.parquet`` the calibration (not for regression). ``model/`` is what `workbench predict`
    applies to other scans (not with structure_volume, which needs labels).
    """
    store, encoder, card = open_parts(config)
    inputs = inputs_of(config)
    if not overwrite and (done := finished(config, inputs)):
        return done
    if config.target not in store.index.columns:
        raise WorkbenchError(
            f"{config.store}: has no column '{config.target}'",
            cause=f"it has: {', '.join(store.index.columns)}",
            remedy="choose --target from these",
        )
    usable, left_out = _usable(store, config)
    table = assign(store, config, usable, card, even="site" if config.task == "regression" else config.target)
    target = read_target(table, config)
    positive = {"positive": target.classes[1]} if len(target.classes) == 2 else {}
    with start_run(
        config,
        overwrite=overwrite,
        inputs=inputs,
        **facts_of(config, store, table, card),
        **target.facts,
        **positive,
        classes=list(target.classes),
        people_left_out=left_out,
    ) as run:
        device = pick_device(config.accelerator)
        found, weights = _predict(encoder, store, table, target, config, run, device)
        if weights is not None:
            frozen = inputs["encoder"] if config.mode in ("linear", "knn") else ""
            model_card = classifier_card(config, target, store, table, card, frozen)
            save_model(run.path / FOLDER, model_card, weights)
        out = _columns(table, target, config, found)
        run.write_table("predictions", out)
        sides = list(out.groupby("split"))
        guess = constant_guess(out) if target.regression else None
        if guess is not None:
            run.note(constant_guess=guess)
        run.write_table(
            "scores",
            pd.concat(
                [
                    score_table(
                        rows, target.classes, specificity=config.specificity, seed=config.seed, guess=guess
                    ).assign(split=side)
                    for side, rows in sides
                ],
                ignore_index=True,
            ),
        )
        if target.classes:
            run.write_table(
                "reliability",
                pd.concat(
                    [reliability_table(rows, target.classes).assign(split=side) for side, rows in sides],
                    ignore_index=True,
                ),
            )
    return run


def _usable(store: Store, config: ClassifyConfig) -> tuple[pd.Series, list[str]]:
    """Scans with a target (and, where volumes of structures are wanted, with their labels), and the people left out
    because their label changes from scan to scan."""
    usable = with_target(store.index, config.target, config.classes)
    if absent := set(config.classes) - set(store.index[config.target].dropna().astype(str)):
        raise WorkbenchError(
            f"{config.store}: nobody has {config.target} = {', '.join(sorted(absent))}",
            cause=f"there are: {', '.join(sorted(set(store.index[config.target].dropna().astype(str)))[:10])}",
            remedy="correct --classes",
        )
    if config.mode == "structure_volume":
        wanted = structures_of(store, config)
        usable &= store.index["has_seg"] & store.index["scan_id"].map(
            lambda scan: bool(wanted) and all(store.codes(scan, s) for s in wanted)
        )
        if not usable.any():
            asked = f"all of {', '.join(config.structures)}" if config.structures else "structures that all others have"
            raise WorkbenchError(
                f"{config.store}: no scan has {asked}",
                remedy="set --structures to names of the cohort's labels.parquet, or another --mode",
            )
    left_out: set[str] = set()
    if config.task == "classes":
        left_out = changing_people(store.index[usable], config.target)
        usable &= ~store.index["participant"].isin(left_out)
        if left_out:
            tqdm.write(
                f"left out: {len(left_out)} people whose {config.target} changes from scan to scan, for example "
                f"{min(left_out)}",
                file=sys.stderr,
            )
    return usable, sorted(left_out)


def _predict(
    encoder: AnyEncoder | None,
    store: Store,
    table: pd.DataFrame,
    target: Target,
    config: ClassifyConfig,
    run: Run,
    device: str,
) -> tuple[np.ndarray, dict[str, Tensor] | None]:
    """Probabilities ``(scans, classes)`` or numbers ``(scans,)``, and the weights of the model that gave them; None
    where a scan alone is not enough to apply it (structure_volume)."""
    train = (table["split"] == "train").to_numpy()
    if config.mode in ("full", "cnn"):
        model = train_network(encoder, store, table, target, config, run, device)
        out = predict_scans(model, encoder, store, list(table["scan_id"]), config, device)
        return probabilities(out, target, train), model.state_dict()
    network = build_classifier(None, 1, config, store.channels) if config.mode == "untrained_cnn" else None
    features = features_of(config.mode, encoder, store, table, config, device, network=network)
    people = table["participant"].to_numpy(str)
    if config.mode == "knn":
        found = neighbours(features, target, train, people, config)
        return found, as_tensors(neighbour_arrays(features, target, train))
    penalty = choose_penalty(features, target, train, people, config)
    run.note(inverse_penalty_used=penalty)
    if config.mode == "structure_volume":
        run.note(structures_used=list(structures_of(store, config)))
    fitted = fit_regression(features, target, train, config, penalty)
    found = apply_regression(fitted, features, target, train)
    if config.mode == "structure_volume":
        return found, None
    drawn = {} if network is None else {DRAWN + name: value for name, value in network.state_dict().items()}
    return found, as_tensors(regression_arrays(fitted)) | drawn


def probabilities(out: Tensor, target: Target, train: np.ndarray) -> np.ndarray:
    """Of a network's outputs; of a number see ``Target.numbers``."""
    if target.regression:
        return target.numbers(out[:, 0].numpy(), train)
    return out.softmax(1).numpy()


def _columns(table: pd.DataFrame, target: Target, config: ClassifyConfig, found: np.ndarray) -> pd.DataFrame:
    """``truth``, ``predicted`` and ``score`` (of the positive class; with more classes of the predicted one; or the
    number), and ``p_<class>``."""
    out = table[["scan_id", "participant", "dataset", "site", "split"]].assign(target=config.target)
    if target.regression:
        return out.assign(truth=target.values, score=found, predicted=found)
    names = np.array(target.classes)
    if len(names) == 2:
        score, predicted = found[:, 1], names[(found[:, 1] > 0.5).astype(int)]
    else:
        score, predicted = found.max(axis=1), names[found.argmax(axis=1)]
    probabilities = {f"p_{name}": found[:, code] for code, name in enumerate(target.classes)}
    return out.assign(truth=names[target.values], score=score, predicted=predicted, **probabilities)
