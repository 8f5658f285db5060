"""From the store to views on the device: which scans, which views, which masks in which micro-batch.

Everything drawn is a function of (seed, place in the run), so a run that stops at any step goes on with
the same data: there is no generator whose state would have to be saved.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from workbench.engine.bend import Placement
from workbench.engine.contrast import draw_curve, draw_tissues, remap
from workbench.engine.streams import Purpose, stream
from workbench.engine.view_params import ViewParams
from workbench.engine.views import by_channel, make_views
from workbench.prepare.store import Store
from workbench.pretrain.config import PretrainConfig
from workbench.pretrain.draw_views import draw_intensities, draw_view
from workbench.pretrain.masking import corrupt, draw_mask, to_voxels
from workbench.pretrain.objectives.base import VIEWS, Batch
from workbench.pretrain.sessions import find_sessions
from workbench.runs.pool import end_with_parent
from workbench.volumes.volume import Triple


@dataclass
class Crops:
    """Views of one size, drawn and read but not resampled: V·B boxes ``(X, Y, Z)`` float16, view-major, and the
    matrices ``(V·B, 3, 4)`` from a view's voxels to its box's. With C ``channels``, boxes, matrices, ``params`` and
    ``curves`` are C times as many: all of a channel after all of the one before."""

    boxes: list[Tensor]
    matrices: np.ndarray
    shapes: np.ndarray  # (V·B, 3) of the scans, voxels
    params: list[ViewParams]
    drops: Tensor  # (V·B, depth, 2), the uniform numbers drop path goes by
    curves: Tensor | None  # (V·B, knots), the contrast the student sees, where it has its own
    channels: int = 1
    shifts: np.ndarray | None = None  # (V·B, 3), where views are of different scans of a person


@dataclass
class RawBatch:
    """What a reading process hands over: two views of B scans, their cell masks ``(2·B, x, y, z)``, small crops."""

    scans: list[str]
    views: Crops
    masks: Tensor
    fill_seeds: list[int]  # one a view (and channel)
    local: Crops | None
    present: Tensor | None = None  # (V, B, C), the contrasts that a view's scan has, where there are several

    def pin_memory(self) -> RawBatch:
        """Called by the loader where there is a GPU: copies from pinned memory overlap with computing."""
        for crops in (self.views, self.local):
            if crops is not None:
                crops.boxes = [box.pin_memory() for box in crops.boxes]
        self.masks = self.masks.pin_memory()
        return self


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
    """Micro-batch ``i`` of one rank: views of ``size`` scans, read as the boxes they need and no more."""

    def __init__(
        self, store: Store, scans: np.ndarray, config: PretrainConfig, *, size: int, rank: int = 0, ranks: int = 1
    ) -> None:
        # scans are positions in the store (int32): names of 100,000 scans would cost each process 8 MB
        self.store, self.scans, self.config = store, scans, config
        self.size, self.rank, self.ranks = size, rank, ranks
        self.channels = config.encoder.channels
        self.sessions = find_sessions(store, scans, config.views.other_session)
        self._mapped: dict[int, bool] = {}

    def __getitem__(self, index: int) -> RawBatch:
        c, seed = self.config, self.config.seed
        crop, patch = c.encoder.size_xyz, c.encoder.patch_xyz
        # the same global batch is dealt out over micro-batches and ranks: a place counts scans since the start, and
        # everything drawn for a scan depends on its place alone
        first = (index * self.ranks + self.rank) * self.size
        places = range(first, first + self.size)
        chosen = [int(self.scans[scan_at(place, len(self.scans), seed)]) for place in places]
        viewed = [chosen] * VIEWS
        if self.sessions is not None:
            viewed = [chosen, [self.sessions.second(seed, *pair) for pair in zip(places, chosen, strict=True)]]
        masks = [
            draw_mask(stream(seed, Purpose.MASKS, place, view), c.mask, c.mask_ratio, crop, patch)
            for view in range(VIEWS)
            for place in places
        ]
        fills = [
            int(stream(seed, Purpose.FILL, place, view, *channel).integers(2**62))
            for channel in [(), *((c,) for c in range(1, self.channels))]  # the first as where there is no other
            for view in range(VIEWS)
            for place in places
        ]
        local = None
        if c.views.local_crops:
            local = self._read(
                Purpose.LOCAL,
                [chosen] * c.views.local_crops,
                places,
                c.views.local_xyz(c.encoder),
                c.views.local_scale,
            )
        return RawBatch(
            [self.store.scan_id(scan) for scan in dict.fromkeys(scan for some in viewed for scan in some)],
            self._read(Purpose.VIEWS, viewed, places, crop, c.views.scale),
            torch.from_numpy(np.stack(masks)),
            fills,
            local,
            torch.from_numpy(np.stack([[self.store.present(scan) for scan in some] for some in viewed]))
            if self.channels > 1
            else None,
        )

    def mapped(self, scan: int) -> bool:
        """Whether the scan has a label map of most of its brain, from which a contrast can be drawn."""
        if scan not in self._mapped:
            if not self.store.has_seg(scan):
                self._mapped[scan] = False
            else:
                labelled, brain = self.store.read_seg(scan) > 0, self.store.read_brain(scan)
                self._mapped[scan] = bool(np.count_nonzero(labelled & brain) >= MAPPED * np.count_nonzero(brain))
        return self._mapped[scan]

    def _read(
        self, purpose: Purpose, viewed: list[list[int]], places: range, size: Triple, scale: tuple[float, float]
    ) -> Crops:
        """``viewed`` are the scans of each view."""
        c = self.config.views
        every = [
            (view, place, scan) for view, some in enumerate(viewed) for place, scan in zip(places, some, strict=True)
        ]
        params: list[list[ViewParams]] = [[] for _ in range(self.channels)]
        reads: list[list[Tensor]] = [[] for _ in range(self.channels)]
        curves: list[np.ndarray] = []
        matrices, shapes, drops = [], [], []
        for view, place, scan in every:
            shape = self.store.shape(scan)
            drawn = draw_view(self._stream(purpose, place, view, 0), c, shape, size, scale)
            rng = stream(self.config.seed, Purpose.TISSUES, int(purpose), place, view)
            if c.drawn_contrast > rng.random() and self.mapped(scan):
                boxes, matrix = drawn_boxes(rng, self.store, scan, drawn, size, self.channels)
            else:
                boxes, matrix = read_boxes(self.store, scan, drawn, size, self.channels)
            for channel, box in enumerate(boxes):
                reads[channel].append(torch.from_numpy(box))
                further = self._stream(purpose, place, view, channel) if channel else None
                params[channel].append(drawn if further is None else draw_intensities(further, c, drawn))
            matrices.append(matrix)
            shapes.append(shape)
            rng = stream(self.config.seed, Purpose.DROPS, int(purpose), place, view)
            drops.append(rng.random((self.config.encoder.depth, 2), dtype=np.float32))
        if c.contrast:
            for number in range(self.channels):
                which = (number,) if number else ()  # the first as where there is no other
                for view, place, _ in every:
                    rng = stream(self.config.seed, Purpose.CONTRAST, int(purpose), place, view, *which)
                    curves.append(draw_curve(rng, c.contrast))
        shifts = None
        if self.sessions is not None:
            first = viewed[0] * len(viewed)
            shifts = [self.sessions.shift(own, scan) for own, (*_, scan) in zip(first, every, strict=True)]
        return Crops(
            [box for one in reads for box in one],
            np.stack(matrices * self.channels),
            np.array(shapes),
            [drawn for one in params for drawn in one],
            torch.from_numpy(np.stack(drops)),
            torch.from_numpy(np.stack(curves)) if curves else None,
            self.channels,
            None if shifts is None else np.array(shifts),
        )

    def _stream(self, purpose: Purpose, place: int, view: int, channel: int) -> np.random.Generator:
        """Where a view lies is the first channel's draw; the others have streams of their own."""
        if channel == 0:
            return stream(self.config.seed, purpose, place, view)
        return stream(self.config.seed, Purpose.CHANNELS, int(purpose), place, view, channel)


def read_boxes(
    store: Store, scan: int, view: ViewParams, size: Triple, channels: int = 1
) -> tuple[list[np.ndarray], np.ndarray]:
    """The voxels that a view touches in each channel, and the matrix from the view's voxels to theirs."""
    low, high, matrix = view.box_inside(size, store.shape(scan))
    return [store.read(scan, low, high, channel=channel) for channel in range(channels)], matrix


MAPPED = 0.5  # of the brain: a map of one structure is no map of an anatomy


def drawn_boxes(
    rng: np.random.Generator, store: Store, scan: int, view: ViewParams, size: Triple, channels: int = 1
) -> tuple[list[np.ndarray], np.ndarray]:
    """`read_boxes` with intensities drawn from the scan's label map, anew for each contrast that the scan has; half of
    the time with what is outside the brain."""
    low, high, matrix = view.box_inside(size, store.shape(scan))
    labels, brain = store.read_seg(scan, low, high), store.read_brain(scan, low, high)
    if rng.random() < 0.5:
        labels[~brain] = 0
    drawn = [
        draw_tissues(rng, labels, store.tissues(scan), brain).astype(np.float16)
        if channel == 0 or store.present(scan)[channel]
        else np.zeros(labels.shape, np.float16)
        for channel in range(channels)
    ]
    return drawn, matrix


def on_device(raw: RawBatch, config: PretrainConfig, device: torch.device) -> Batch:
    """Resample and change the views, mask them, all on the device."""
    crop = config.encoder.size_xyz
    views, channels = raw.views, raw.views.channels
    clean = make_views(views.boxes, views.matrices, views.params, crop, device)
    masks = to_voxels(raw.masks.to(device, non_blocking=True), crop)  # (2·B, 1, X, Y, Z)
    seen = clean if views.curves is None else remap(clean, views.curves)
    if config.mask_ratio:
        seeds = np.array(raw.fill_seeds).reshape(channels, -1).tolist()
        pairs = zip(seen.chunk(channels), seeds, strict=True)
        parts = [corrupt(one, masks, config.mask.fill, drawn) for one, drawn in pairs]
        corrupted = parts[0] if channels == 1 else torch.cat(parts)
    else:
        corrupted = seen
    clean, corrupted = by_channel(clean, channels), by_channel(corrupted, channels)
    clean, corrupted, masks = (t.unflatten(0, (VIEWS, -1)) for t in (clean, corrupted, masks))
    present = None
    if raw.present is not None:
        present = raw.present.to(device)
        corrupted = corrupted * present[..., None, None, None]  # what a scan has not is not replaced by noise
    drops = raw.views.drops.to(device).unflatten(0, (VIEWS, -1))
    batch = Batch(clean, corrupted, masks, drops, placement=placement(raw.views, VIEWS, device), present=present)
    if raw.local is None:
        return batch
    crops = (config.views.local_crops, -1)
    local = make_views(
        raw.local.boxes, raw.local.matrices, raw.local.params, config.views.local_xyz(config.encoder), device
    )
    if raw.local.curves is not None:
        local = remap(local, raw.local.curves)
    return replace(
        batch,
        local=by_channel(local, channels).unflatten(0, crops),
        local_drops=raw.local.drops.to(device).unflatten(0, crops),
        local_placement=placement(raw.local, config.views.local_crops, device),
    )


def placement(crops: Crops, views: int, device: torch.device) -> Placement:
    """Where the views lie in their scans, ``(views, B, …)`` on ``device``."""

    def together(arrays: Sequence[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(arrays).astype(np.float32)).to(device).unflatten(0, (views, -1))

    params = crops.params[: len(crops.shapes)]  # of the first channel: the others lie where it does
    bends = [p.bend for p in params if p.bend]
    return Placement(
        together([p.matrix for p in params]),
        together(list(crops.shapes)),
        together([b.knots for b in bends]) if bends else None,
        None if crops.shifts is None else together(list(crops.shifts)),
    )


def _begin_worker(worker: int) -> None:
    """Ctrl-C, and a batch system's SIGTERM, go to every process of the job; only the training decides when to stop.

    Torch's own watch looks at the parent's number, which for a fork server's child is the server: a training that was
    killed would leave its workers, and by them the server, for ever.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    end_with_parent()


def _as_it_is(batch: Any) -> Any:
    return batch


def loader(batches: MicroBatches, first: int, last: int, *, workers: int, pin: bool) -> DataLoader[RawBatch]:
    """Micro-batches ``first … last - 1`` in order, read ahead by ``workers`` processes."""
    return DataLoader(
        batches,
        batch_size=None,
        sampler=range(first, last),
        num_workers=workers,
        pin_memory=pin,
        prefetch_factor=2 if workers else None,
        collate_fn=_as_it_is,
        worker_init_fn=_begin_worker,
        multiprocessing_context="forkserver" if workers else None,
    )
