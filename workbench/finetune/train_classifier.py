"""Predictors trained by gradient: the whole encoder with a linear layer, and a CNN from scratch."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from workbench.engine.device import arithmetic, check_convolutions
from workbench.engine.streams import Purpose, stream
from workbench.finetune.config import ClassifyConfig
from workbench.finetune.loop import fit
from workbench.finetune.targets import Target
from workbench.model.classifier import Classifier
from workbench.model.contract import AnyEncoder
from workbench.model.encode import whole_scan
from workbench.prepare.store import Store
from workbench.runs import Run
from workbench.volumes.volume import Triple

CNN_STEP = (32, 32, 32)  # scans are padded to multiples of it: the CNN halves five times
CNN_BLOCKS = (2, 4, 6, 4)  # layers of its dense blocks: a small one, for dozens to hundreds of people


class ClassifierShape(Protocol):
    """What decides the shape of a network: settings of a run, or the card of an exported model."""

    @property
    def mode(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def cnn_features(self) -> int: ...


def build_classifier(encoder: AnyEncoder | None, outputs: int, config: ClassifierShape, channels: int = 1) -> nn.Module:
    """The encoder with a linear layer, or a small MONAI DenseNet (without its last layer where it stays untrained). It
    normalises each scan by itself (all channels together), since a step accumulates single scans; MONAI's ResNet would
    not take that setting in all its layers."""
    torch.manual_seed(config.seed)
    if config.mode == "full":
        assert encoder is not None
        return Classifier(encoder, outputs)
    from monai.networks.nets import DenseNet

    network = DenseNet(
        3,
        channels,
        outputs,
        init_features=config.cnn_features,
        growth_rate=config.cnn_features,
        block_config=CNN_BLOCKS,
        norm=("group", {"num_groups": 1}),
    )
    if config.mode == "untrained_cnn":  # what the regression is given: its features, averaged over the scan
        network.class_layers.out = nn.Identity()
    return network.eval() if config.mode == "untrained_cnn" else network


def train_network(
    encoder: AnyEncoder | None,
    store: Store,
    table: pd.DataFrame,
    target: Target,
    config: ClassifyConfig,
    run: Run,
    device: str,
) -> nn.Module:
    """The network after training on whole scans of the training people.

    A step accumulates single scans, since their boxes differ in size. Numbers are learnt as z-scores of the training
    people, by squared error.
    """
    if config.mode == "cnn":
        check_convolutions(device, config.precision)
    outputs = 1 if target.regression else len(target.classes)
    model = build_classifier(encoder if config.mode == "full" else None, outputs, config, store.channels).to(device)
    rows = np.flatnonzero(table["split"] == "train")
    steps = max(1, config.epochs * len(rows) // config.batch_size)
    mean, spread = (target.values[rows].mean(), target.values[rows].std()) if target.regression else (0.0, 1.0)
    scans, step_xyz = list(table["scan_id"]), padding_of(config.mode, encoder)

    def loss_of(output: Tensor, row: int) -> Tensor:
        if target.regression:
            return (output[0, 0] - (target.values[row] - mean) / spread) ** 2
        return F.cross_entropy(output, torch.tensor([int(target.values[row])], device=output.device))

    def backward(step: int) -> float:
        total = 0.0
        for n in range(step * config.batch_size, (step + 1) * config.batch_size):
            epoch, place = divmod(n, len(rows))
            row = int(rows[stream(config.seed, Purpose.PROBE_ORDER, epoch).permutation(len(rows))[place]])
            output = output_of(model, whole_scan(store, scans[row], step_xyz), device, config.precision)
            loss = loss_of(output, row) * float(target.weights[row]) / config.batch_size
            loss.backward()
            total += float(loss.detach())
        return total

    fit(model, encoder if config.mode == "full" else None, backward, steps, config, run)
    return model


def predict_scans(
    model: nn.Module, encoder: AnyEncoder | None, store: Store, scans: list[str], config: ClassifyConfig, device: str
) -> Tensor:
    """The network's outputs ``(scans, outputs)``, float32, on the CPU."""
    step_xyz = padding_of(config.mode, encoder)
    with torch.inference_mode():
        return torch.cat(
            [
                output_of(model, whole_scan(store, scan, step_xyz), device, config.precision)
                for scan in tqdm(scans, desc="predict", unit="scan")
            ]
        )


def output_of(model: nn.Module, volume_11XYZ: Tensor, device: str, precision: str) -> Tensor:
    """What a network says of one padded scan ``(1, outputs)``, float32, on the CPU."""
    with arithmetic(device, precision):
        output = model(volume_11XYZ.to(device))
    return output.float().cpu()


def padding_of(mode: str, encoder: AnyEncoder | None) -> Triple:
    """Multiples that a scan's edges are padded to."""
    return encoder.config.patch_xyz if mode == "full" and encoder is not None else CNN_STEP
