"""From the store to padded boxes: which scans, which views, which masks in which micro-batch.

Everything drawn is a function of (seed, epoch or micro-batch number), so a run that stops at any step goes on with
the same data: there is no generator whose state would have to be saved.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from workbench.engine.streams import Purpose, stream
from workbench.engine.views import ViewParams, pad_together
from workbench.prepare.store import Store
from workbench.pretrain.config import MaskSettings, ViewSettings
from workbench.pretrain.masking import draw_mask
from workbench.pretrain.views import draw_view
from workbench.volumes.volume import Triple


@dataclass
class RawBatch:
    """What a reading process hands over: boxes ``(2·B, 1, X, Y, Z)`` float16, matrices into them, cell masks."""

    scans: list[str]
    boxes: Tensor
    matrices: Tensor  # (2·B, 3, 4) view voxel -> box voxel
    params: list[ViewParams]
    masks: Tensor  # (2·B, x, y, z) bool cells
    fill_seed: int


def scan_at(position: int, count: int, seed: int) -> int:
    """Index of the scan at ``position`` of an endless sequence of shuffled epochs."""
    epoch, place = divmod(position, count)
    return int(_order(count, seed, epoch)[place])


_orders: dict[tuple[int, int, int], np.ndarray] = {}


def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    key = (count, seed, epoch)
    if key not in _orders:
        while len(_orders) > 2:  # the current epoch and the next are all that is ever asked for
            _orders.pop(next(iter(_orders)))
        _orders[key] = stream(seed, Purpose.ORDER, epoch).permutation(count)
    return _orders[key]


class MicroBatches(Dataset[RawBatch]):
    """Micro-batch ``i`` of one rank: two views of ``size`` scans, read as the boxes they need and no more."""

    def __init__(self, store: Store, scans: np.ndarray, crop: Triple, patch: Triple, views: ViewSettings,
                 mask: MaskSettings, *, size: int, seed: int, rank: int = 0, ranks: int = 1) -> None:
        # scans are positions in the store (int32): names of 100,000 scans would cost each process 8 MB
        self.store, self.scans, self.crop, self.patch, self.views, self.mask = store, scans, crop, patch, views, mask
        self.size, self.seed, self.rank, self.ranks = size, seed, rank, ranks

    def __getitem__(self, index: int) -> RawBatch:
        # the same global batch is dealt out over micro-batches and ranks: position counts scans since the start
        first = (index * self.ranks + self.rank) * self.size
        chosen = [int(self.scans[scan_at(p, len(self.scans), self.seed)]) for p in range(first, first + self.size)]
        params, corners, reads, masks = [], [], [], []
        for view in range(2):
            for place, scan in enumerate(chosen):
                rng = stream(self.seed, Purpose.VIEWS, first + place, view)
                shape = self.store.shape(scan)
                drawn = draw_view(rng, self.views, shape, self.crop)
                low, high = drawn.box(self.crop)
                low, high = np.maximum(low, 0), np.minimum(high, shape)
                params.append(drawn)
                corners.append(low)
                reads.append(self.store.read(scan, low, high))
                rng = stream(self.seed, Purpose.MASKS, first + place, view)
                masks.append(draw_mask(rng, self.mask, self.crop, self.patch))
        matrices = np.stack([np.concatenate([p.matrix[:, :3], p.matrix[:, 3:] - low[:, None]], axis=1)
                             for p, low in zip(params, corners, strict=True)])
        fill_seed = int(stream(self.seed, Purpose.FILL, first).integers(2**62))
        names = [self.store.scan_id(scan) for scan in chosen]
        return RawBatch(names, pad_together(reads), torch.from_numpy(matrices), params,
                        torch.from_numpy(np.stack(masks)), fill_seed)


def _leave_signals_to_the_parent(worker: int) -> None:
    """Ctrl-C, and a batch system's SIGTERM, go to every process of the job; only the training decides when to stop."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _as_it_is(batch: Any) -> Any:
    return batch


def loader(batches: MicroBatches, first: int, last: int, *, workers: int, pin: bool) -> DataLoader[RawBatch]:
    """Micro-batches ``first … last - 1`` in order, read ahead by ``workers`` processes."""
    return DataLoader(batches, batch_size=None, sampler=range(first, last), num_workers=workers, pin_memory=pin,
                      prefetch_factor=2 if workers else None, collate_fn=_as_it_is,
                      worker_init_fn=_leave_signals_to_the_parent,
                      multiprocessing_context="forkserver" if workers else None)
