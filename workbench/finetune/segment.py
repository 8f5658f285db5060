"""Fine-tune a segmentation on an encoder, or from scratch, and segment scans in their own space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from workbench.cohort.splits import load_sides
from workbench.engine.device import arithmetic, check_convolutions, pick_device
from workbench.errors import WorkbenchError
from workbench.finetune.assignment import assign, facts_of, open_parts
from workbench.finetune.config import REGIONS, SegmentConfig
from workbench.finetune.curve import DiceCurve
from workbench.finetune.export import FOLDER, read_model, save_model, segmenter_card
from workbench.finetune.inputs import inputs_of
from workbench.finetune.loop import fit
from workbench.finetune.networks import build_network, crop_of
from workbench.finetune.segment_data import Crops, class_map, to_classes
from workbench.finetune.windows import in_source_space, keep_largest, probabilities
from workbench.measures.structures import no_scores, structure_scores
from workbench.model.contract import AnyEncoder
from workbench.prepare.store import Store
from workbench.runs import Run, finished, start_run
from workbench.runs.parts import Rows, over_scans
from workbench.runs.spread import shard
from workbench.volumes import Volume, read_volume, write_volume
from workbench.volumes.volume import Triple


def run_segment(config: SegmentConfig, *, overwrite: bool = False) -> Run:
    """Train, segment and score; ``results/dice.parquet``, ``volumes/*_dseg.nii.gz`` in each scan's own space, and
    ``model/``, which `workbench predict` applies to other scans."""
    store, encoder, card = open_parts(config)
    inputs = inputs_of(config)
    if not overwrite and (done := finished(config, inputs)):
        return done
    labelled = store.index["has_seg"] & store.index["scan_id"].map(
        lambda scan: all(store.codes(scan, s) for s in config.structures)
    )
    if not labelled.any():
        known = sorted(set(store.labels["structure"])) if len(store.labels) else []
        raise WorkbenchError(
            f"{config.store}: no scan has all of {', '.join(config.structures)}",
            cause=f"{len(known)} structures are known: {', '.join(known[:12])} …",
            remedy="set --structures to names of the cohort's labels.parquet",
        )
    table = assign(store, config, labelled, card).assign(labelled=True)
    device = pick_device(config.accelerator)
    check_convolutions(device, config.precision)
    crop = crop_of(config, encoder)
    model = build_network(config, encoder, crop, store.channels)
    with start_run(config, overwrite=overwrite, inputs=inputs, **facts_of(config, store, table, card)) as run:
        # convolutions are faster with channels last; on a CPU about a third of a step
        model.to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        if shard() is None:
            train(model, store, table, config, run, device, crop)
            save_model(run.path / FOLDER, segmenter_card(config, crop, store, table, card), model.state_dict())
        else:
            model.load_state_dict(read_model(run.path / FOLDER)[1])
            model.eval()
        wanted = table[table["split"] == config.predict]
        if config.predict == "all":
            wanted = store.index.assign(labelled=labelled).merge(load_sides(config.split), on="participant")
        scans = {scan.scan_id: scan for scan in wanted.itertuples()}

        def rows(scan: str) -> Rows:
            return {"dice": segment_and_score(model, store, scans[scan], config, run.path, device, crop)}

        # whoever is not scored is missing from every comparison: one that cannot be read ends the job
        over_scans(run, list(scans), rows, ["dice"], config, desc="segment", set_aside=False)
    return run


def train(
    model: nn.Module, store: Store, table: pd.DataFrame, config: SegmentConfig, run: Run, device: str, crop: Triple
) -> None:
    """DiceCE on crops of the training people."""
    from monai.losses import DiceLoss  # MONAI takes seconds to import: not where a run is done, or refused

    crops = Crops(store, sorted(table.loc[table["split"] == "train", "scan_id"]), config, crop)
    dice_loss = DiceLoss(to_onehot_y=True, softmax=True, include_background=False, batch=True)
    weights = torch.tensor([1.0] + [config.structure_weight] * len(config.structures), device=device)

    def loss_at(logits: Tensor, label: Tensor) -> Tensor:
        entropy = torch.nn.functional.cross_entropy(logits, label[:, 0], weight=weights)
        return dice_loss(logits, label) + entropy

    def backward(step: int) -> float:
        image, label = crops.batch(step)
        with arithmetic(device, config.precision):
            logits = model(image.to(device))
        loss = supervised(loss_at, logits, label.to(device))
        loss.backward()
        return float(loss.detach())

    encoder = model.encoder if config.uses_encoder else None
    assert encoder is None or isinstance(encoder, AnyEncoder)
    curve = DiceCurve(store, table, config, crop, device, run) if config.validate_every else None
    fit(
        model,
        encoder,
        backward,
        config.steps,
        config,
        run,
        after=None if curve is None else lambda step, seconds: curve(model, step, seconds),
    )


def supervised(
    loss_at: Callable[[Tensor, Tensor], Tensor], answers: Tensor | Sequence[Tensor], label_B1XYZ: Tensor
) -> Tensor:
    """The loss of an answer, or the mean over those at several resolutions, each with half the weight of the finer one
    before it; labels of a coarser one are those of its voxels' first corners."""
    if isinstance(answers, Tensor):
        return loss_at(answers.float(), label_B1XYZ)
    shares = [0.5**level for level in range(len(answers))]
    total = torch.zeros((), device=label_B1XYZ.device)
    for share, answer in zip(shares, answers, strict=True):
        x, y, z = (n // m for n, m in zip(label_B1XYZ.shape[2:], answer.shape[2:], strict=True))
        total = total + share / sum(shares) * loss_at(answer.float(), label_B1XYZ[:, :, ::x, ::y, ::z])
    return total


def segment_and_score(
    model: nn.Module, store: Store, scan, config: SegmentConfig, folder: Path, device: str, crop: Triple
) -> list[dict[str, Any]]:
    """Write one segmentation; a row per structure, scored in the scan's own space against the file's labels."""
    probs = probabilities(
        model,
        store.read_channels(scan.scan_id),
        crop=crop,
        overlap=config.overlap,
        device=device,
        precision=config.precision,
        mirror=config.mirror,
    )
    volume = in_source_space(probs, store, scan.scan_id)
    if config.largest_component:
        volume = Volume(keep_largest(volume.data, len(config.structures)), volume.affine)
    file = Path("volumes") / f"{scan.scan_id}_dseg.nii.gz"
    names = {name: code for code, name in enumerate(config.structures, start=1)}
    write_volume(
        folder / file,
        volume,
        sidecar={
            "codes": names,
            "network": config.network,
            "init": config.init,
            "encoder": str(config.encoder),
            "largest_component": config.largest_component,
            "source": scan.path,
            "simulated": bool(scan.simulated),
        },
    )
    own = None  # a scan without labels has a segmentation and no scores
    if scan.labelled:
        labels = read_volume(scan.seg_path, labels=True).data
        own = to_classes(labels, class_map(store, scan.scan_id, config.structures))
    rows: list[dict[str, Any]] = []
    parts = {name: [code] for name, code in names.items()}
    parts |= {region: [names[name] for name in REGIONS[region] if name in names] for region in config.regions}
    for name, of in parts.items():
        found = np.isin(volume.data, of)
        scores = no_scores() if own is None else structure_scores(found, np.isin(own, of), volume.affine)
        rows.append(
            {
                "scan_id": scan.scan_id,
                "participant": scan.participant,
                "dataset": scan.dataset,
                "site": scan.site,
                "split": scan.split,
                "structure": name,
                "file": str(file),
                **scores,
            }
        )
    return rows
