"""Predict a label of the person: a linear probe on frozen features, or the whole encoder trained."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm.auto import tqdm

from workbench.engine.device import pick_device
from workbench.engine.streams import Purpose, stream
from workbench.errors import WorkbenchError
from workbench.finetune.config import ClassifyConfig
from workbench.finetune.loop import fit
from workbench.finetune.people import assign, inputs_of, seen_people
from workbench.model.classifier import Classifier
from workbench.model.encode import encode_scans, open_matching, whole_scan
from workbench.model.vit import Encoder
from workbench.prepare.store import Store
from workbench.runs import Run, finished, start_run


def run_classify(config: ClassifyConfig, *, overwrite: bool = False) -> Run:
    """Train on the training people and score the others; ``results/predictions.parquet``, one row a scan."""
    store, encoder, card = open_matching(config.store, config.encoder, init=config.init, seed=config.seed)
    inputs = inputs_of(store, config)
    if not overwrite and (done := finished(config, inputs)):
        return done
    if config.target not in store.index.columns:
        raise WorkbenchError(f"{config.store}: has no column '{config.target}'",
                             cause=f"it has: {', '.join(store.index.columns)}", remedy="choose --target from these")
    table = assign(store, config, store.index[config.target].notna(), card)
    classes = sorted(set(table[config.target].astype(str)))
    if len(classes) != 2:
        raise WorkbenchError(f"{config.target}: not a label with two values", cause=f"it has {len(classes)}: "
                             f"{', '.join(classes[:8])}", remedy="choose another --target")
    truth = (table[config.target].astype(str) == classes[1]).to_numpy()
    if len(set(truth[table["split"] == "train"])) != 2:
        raise WorkbenchError(f"{config.target}: the training people are all alike",
                             remedy="use a split stratified by this column")
    facts = {"seed": config.seed, "store": str(config.store), "encoder": str(config.encoder), "init": config.init,
             "objective": card.objective, "preparation": store.fingerprint, "simulated": store.simulated,
             "transductive": bool(seen_people(table, card)), "positive": classes[1],
             "participants": {side: sorted(set(rows["participant"])) for side, rows in table.groupby("split")}}
    with start_run(config, overwrite=overwrite, inputs=inputs, **facts) as run:
        device = pick_device(config.accelerator)
        score = (linear_probe if config.mode == "linear" else full)(encoder, store, table, truth, config, run, device)
        out = table[["scan_id", "participant", "dataset", "site", "split"]].assign(
            target=config.target, truth=table[config.target].astype(str), score=score,
            predicted=np.where(score > 0.5, classes[1], classes[0]))
        run.write_table("predictions", out)
    return run


def auroc_by_person(predictions: pd.DataFrame, positive: str) -> float:
    """AUROC with each person's scans averaged first; NaN where only one class is there."""
    people = predictions.groupby("participant").agg(score=("score", "mean"), truth=("truth", "first"))
    labels = people["truth"] == positive
    return float(roc_auc_score(labels, people["score"])) if labels.nunique() == 2 else float("nan")


def linear_probe(encoder: Encoder, store: Store, table: pd.DataFrame, truth: np.ndarray, config: ClassifyConfig,
                 run: Run, device: str) -> np.ndarray:
    """Logistic regression on standardised [CLS; mean of patches]; probabilities ``(scans,)``."""
    features = np.stack([np.concatenate([cls, mean]) for _, cls, mean in
                         encode_scans(encoder, store, list(table["scan_id"]), device=device, desc="features")])
    train = (table["split"] == "train").to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, C=0.01, class_weight="balanced"))
    model.fit(features[train], truth[train])
    return model.predict_proba(features)[:, 1]


def full(encoder: Encoder, store: Store, table: pd.DataFrame, truth: np.ndarray, config: ClassifyConfig, run: Run,
         device: str) -> np.ndarray:
    """Train encoder and linear layer on whole scans; probabilities ``(scans,)``. A step accumulates single scans,
    since their boxes differ in size."""
    torch.manual_seed(config.seed)
    model = Classifier(encoder, 2).to(device)
    rows = np.flatnonzero(table["split"] == "train")
    steps = max(1, config.epochs * len(rows) // config.batch_size)
    balance = torch.tensor([len(rows) / (2 * max(int((truth[rows] == c).sum()), 1)) for c in (False, True)])
    scans, patch = list(table["scan_id"]), encoder.config.patch_xyz

    def backward(step: int) -> float:
        total = 0.0
        for n in range(step * config.batch_size, (step + 1) * config.batch_size):
            epoch, place = divmod(n, len(rows))
            row = rows[stream(config.seed, Purpose.PROBE_ORDER, epoch).permutation(len(rows))[place]]
            logits = model(whole_scan(store, scans[row], patch).to(device))
            loss = torch.nn.functional.cross_entropy(logits.float().cpu(), torch.tensor([int(truth[row])]),
                                                     weight=balance, reduction="sum") / config.batch_size
            loss.backward()
            total += float(loss.detach())
        return total

    fit(model, encoder, backward, steps, config, run)
    with torch.inference_mode():
        return np.array([float(model(whole_scan(store, s, patch).to(device)).float().softmax(1)[0, 1])
                         for s in tqdm(scans, desc="predict", unit="scan")])
