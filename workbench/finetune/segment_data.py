"""Training crops with labels: the same affine for image and labels, nearest neighbour for the labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from workbench.engine.streams import Purpose, stream
from workbench.engine.view_params import ViewParams
from workbench.engine.views import by_channel, crop_by_grid, make_views, pad_together
from workbench.finetune.config import SegmentConfig
from workbench.finetune.nnunet import NnunetIntensities, draw_nnunet
from workbench.prepare.store import Store
from workbench.volumes.volume import Triple

LOCATIONS = 2000  # foreground voxels remembered per scan to centre crops on


def class_map(store: Store, scan: str, structures: tuple[str, ...]) -> np.ndarray:
    """Raw code → class 1, 2, … (0 for everything else), as a look-up table over the codes of the dataset."""
    codes = [store.codes(scan, s) for s in structures]
    table = np.zeros(max((c for group in codes for c in group), default=0) + 1, np.int64)
    for number, group in enumerate(codes, start=1):
        table[group] = number
    return table


def to_classes(seg: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Apply a look-up table of ``class_map``; codes beyond it are background."""
    known = (seg >= 0) & (seg < len(table))
    return np.where(known, table[np.where(known, seg, 0)], 0)


class Crops:
    """Sample ``n`` of a training: drawn from the seed and ``n`` alone, so a stopped run goes on alike."""

    def __init__(self, store: Store, scans: list[str], config: SegmentConfig, crop: Triple) -> None:
        self.store, self.scans, self.config, self.crop = store, scans, config, crop
        self.tables = {scan: class_map(store, scan, config.structures) for scan in scans}
        self.augment = NnunetIntensities() if config.augmentation == "nnunet" else None
        self.places = {scan: self._foreground(scan) for scan in scans}

    def _foreground(self, scan: str) -> np.ndarray:
        found = np.argwhere(to_classes(self.store.read_seg(scan), self.tables[scan]) > 0)
        if len(found) > LOCATIONS:
            found = found[stream(self.config.seed, Purpose.PLACES).choice(len(found), LOCATIONS, replace=False)]
        return found.astype(np.int16)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Images ``(B, C, X, Y, Z)`` float32 and classes ``(B, 1, X, Y, Z)`` int64 of optimiser step ``step``."""
        channels = self.store.channels
        images: list[list[Tensor]] = [[] for _ in range(channels)]
        params: list[list[ViewParams]] = [[] for _ in range(channels)]
        labels, matrices = [], []
        for n in range(step * self.config.batch_size, (step + 1) * self.config.batch_size):
            rng = stream(self.config.seed, Purpose.CROPS, n)
            scan = self.scans[int(rng.integers(len(self.scans)))]
            view = self._draw(rng, scan)
            low, high, matrix = view.box_inside(self.crop, self.store.shape(scan))
            for channel in range(channels):
                images[channel].append(torch.from_numpy(self.store.read(scan, low, high, channel=channel)))
                further = stream(self.config.seed, Purpose.CROPS, n, channel) if channel else None
                params[channel].append(view if further is None else replace(view, **self._intensities(further)))
            seg = to_classes(self.store.read_seg(scan, low, high), self.tables[scan])
            labels.append(torch.from_numpy(seg.astype(np.uint8)))
            matrices.append(matrix)
        where, cpu = np.stack(matrices), torch.device("cpu")
        boxes = [box for every in images for box in every]
        drawn = [one for every in params for one in every]
        image = by_channel(make_views(boxes, np.concatenate([where] * channels), drawn, self.crop, cpu), channels)
        if self.augment is not None:
            seeds = [view.seed for view in params[0]]  # of a scan, the same for all its contrasts
            image = torch.stack([self.augment(one, seed) for one, seed in zip(image, seeds, strict=True)])
        label = crop_by_grid(pad_together(labels, cpu), torch.from_numpy(where), self.crop, mode="nearest")
        return image, label.round().long()

    def _draw(self, rng: np.random.Generator, scan: str) -> ViewParams:
        c, shape, crop = self.config, np.array(self.store.shape(scan)), np.array(self.crop)
        places = self.places[scan]
        slack = np.maximum(shape - crop, 0) / 2
        if len(places) and rng.random() < c.foreground:
            centre = places[int(rng.integers(len(places)))] + rng.uniform(-0.25, 0.25, 3) * crop
        else:
            centre = (shape - 1) / 2 + rng.uniform(-1, 1, 3) * slack
        centre = np.clip(centre, (shape - 1) / 2 - slack, (shape - 1) / 2 + slack)
        zoom, turns = 1 + rng.uniform(-1, 1) * c.zoom, rng.uniform(-1, 1, 3) * c.rotation
        if self.augment is not None:
            zoom, turns = draw_nnunet(rng)
        linear = Rotation.from_euler("xyz", turns, degrees=True).as_matrix() * zoom
        for axis in c.mirror:
            if rng.random() < 0.5:
                linear["xyz".index(axis)] *= -1
        offset = centre - linear @ ((crop - 1) / 2)
        return ViewParams(np.concatenate([linear, offset[:, None]], axis=1), blur=0.0, **self._intensities(rng))

    def _intensities(self, rng: np.random.Generator) -> dict[str, Any]:
        """What changes the intensities, of each contrast by itself."""
        strength = self.config.intensity if self.augment is None else 0.0
        return {
            "gamma": rng.uniform(-0.3, 0.3) * strength,
            "bias": rng.uniform(-1, 1, 10) * 0.05 * strength,
            "noise": rng.uniform(0, 0.1) * strength,
            "seed": int(rng.integers(2**62)),
        }
