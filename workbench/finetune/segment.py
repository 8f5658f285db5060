"""Fine-tune a UNETR on an encoder and segment scans in their own space."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from monai.inferers import sliding_window_inference
from monai.losses import DiceLoss
from tqdm.auto import tqdm

from workbench.cohort.splits import load_sides
from workbench.engine.device import pick_device
from workbench.errors import WorkbenchError
from workbench.finetune.config import SegmentConfig
from workbench.finetune.loop import fit
from workbench.finetune.metrics import dice
from workbench.finetune.people import assign, inputs_of, seen_people
from workbench.finetune.segment_data import Crops, class_map, to_classes
from workbench.model.encode import open_matching
from workbench.model.unetr import Unetr
from workbench.prepare.restore import to_source_space
from workbench.prepare.store import Store
from workbench.runs import Run, finished, start_run
from workbench.volumes import Volume, read_volume, write_volume


def run_segment(config: SegmentConfig, *, overwrite: bool = False) -> Run:
    """Train, segment and score; ``results/dice.parquet`` and ``volumes/*_dseg.nii.gz`` in each scan's own space."""
    store, encoder, card = open_matching(config.store, config.encoder, init=config.init, seed=config.seed)
    inputs = inputs_of(store, config)
    if not overwrite and (done := finished(config, inputs)):
        return done
    labelled = store.index["has_seg"] & store.index["scan_id"].map(
        lambda scan: all(store.codes(scan, s) for s in config.structures))
    if not labelled.any():
        known = sorted(set(store.labels["structure"])) if len(store.labels) else []
        raise WorkbenchError(f"{config.store}: no scan has all of {', '.join(config.structures)}",
                             cause=f"{len(known)} structures are known: {', '.join(known[:12])} …",
                             remedy="set --structures to names of the cohort's labels.parquet")
    table = assign(store, config, labelled, card).assign(labelled=True)
    facts = {"seed": config.seed, "store": str(config.store), "encoder": str(config.encoder), "init": config.init,
             "objective": card.objective, "preparation": store.fingerprint, "simulated": store.simulated,
             "transductive": bool(seen_people(table, card)),
             "participants": {side: sorted(set(rows["participant"])) for side, rows in table.groupby("split")}}
    with start_run(config, overwrite=overwrite, inputs=inputs, **facts) as run:
        torch.manual_seed(config.seed)  # the decoder starts alike whatever the encoder
        model = Unetr(encoder, len(config.structures) + 1, features=config.features, input_skip=config.input_skip)
        device = pick_device(config.accelerator)
        train(model.to(device), store, table, config, run, device)
        wanted = table[table["split"] == "test"] if config.predict == "test" else \
            store.index.assign(labelled=labelled).merge(load_sides(config.split), on="participant")
        scores = [row for scan in tqdm(wanted.itertuples(), total=len(wanted), desc="segment", unit="scan")
                  for row in segment_and_score(model, store, scan, config, run.path, device)]
        run.write_table("dice", pd.DataFrame(scores))
    return run


def train(model: Unetr, store: Store, table: pd.DataFrame, config: SegmentConfig, run: Run, device: str) -> None:
    """DiceCE on crops of the training people."""
    scans = sorted(table.loc[table["split"] == "train", "scan_id"])
    crops = Crops(store, scans, config, model.encoder.config.size_xyz)
    dice_loss = DiceLoss(to_onehot_y=True, softmax=True, include_background=False, batch=True)
    weights = torch.tensor([1.0] + [config.structure_weight] * len(config.structures), device=device)

    def backward(step: int) -> float:
        image, label = crops.batch(step)
        logits, label = model(image.to(device)), label.to(device)
        loss = dice_loss(logits, label) + torch.nn.functional.cross_entropy(logits, label[:, 0], weight=weights)
        loss.backward()
        return float(loss.detach())

    fit(model, model.encoder, backward, config.steps, config, run)


@torch.inference_mode()
def probabilities(model: Unetr, store: Store, scan: str, *, overlap: float, device: str) -> np.ndarray:
    """Class probabilities ``(classes, X, Y, Z)`` on the prepared grid, float32, by overlapping windows."""
    model.eval()
    image = torch.from_numpy(store.read(scan).astype(np.float32))[None, None].to(device)
    logits = sliding_window_inference(image, model.encoder.config.size_xyz, 2, model, overlap=overlap, mode="gaussian")
    assert isinstance(logits, torch.Tensor)
    return logits.float().softmax(dim=1)[0].cpu().numpy()


def in_source_space(probs: np.ndarray, store: Store, scan: str) -> Volume:
    """Probabilities are interpolated onto the scan's own grid and the largest wins; what lies outside is background."""
    grid, source = store.grid(scan), store.source_grid(scan)
    moved = [to_source_space(p, grid, source, order=1, fill=1.0 if c == 0 else 0.0) for c, p in enumerate(probs)]
    return Volume(np.argmax([m.data for m in moved], axis=0).astype(np.uint8), source.affine)


def segment_and_score(model: Unetr, store: Store, scan, config: SegmentConfig, folder: Path,
                      device: str) -> list[dict[str, object]]:
    """Write one segmentation and return a row per structure, Dice in the scan's own space against the file's labels."""
    volume = in_source_space(probabilities(model, store, scan.scan_id, overlap=config.overlap, device=device), store,
                             scan.scan_id)
    file = Path("volumes") / f"{scan.scan_id}_dseg.nii.gz"
    names = {name: code for code, name in enumerate(config.structures, start=1)}
    write_volume(folder / file, volume, sidecar={"codes": names, "init": config.init, "encoder": str(config.encoder),
                                                 "source": scan.path, "simulated": bool(scan.simulated)})
    own = None  # a scan without labels has a segmentation and no Dice
    if scan.labelled:
        labels = read_volume(scan.seg_path, labels=True).data
        own = to_classes(labels, class_map(store, scan.scan_id, config.structures))
    return [{"scan_id": scan.scan_id, "participant": scan.participant, "dataset": scan.dataset, "site": scan.site,
             "split": scan.split, "structure": name, "file": str(file),
             "dice": math.nan if own is None else dice(volume.data == code, own == code)}
            for name, code in names.items()]

