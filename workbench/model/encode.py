"""An encoder on whole scans of a store, one scan at a time, so that no scan's features depend on its batch-mates."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from workbench.model.contract import AnyEncoder, pooled_words
from workbench.model.export import EncoderCard, Init, load_encoder
from workbench.prepare.one import Scans
from workbench.prepare.store import Corner, Store, open_store
from workbench.volumes.volume import Triple


def open_matching(store: Path, encoder: Path, *, init: Init, seed: int) -> tuple[Store, AnyEncoder, EncoderCard]:
    """A store and an encoder that belong together.

    Raises:
        WorkbenchError: the encoder was trained on scans prepared otherwise.
    """
    opened = open_store(store)
    loaded, card = load_encoder(encoder, init=init, seed=seed)
    opened.require_contrasts(card.contrasts, str(encoder))
    opened.require_fingerprint(card.preparation, str(encoder))
    for told in (pooled_words(card.config), card.seen_words if card.people_unknown else None):
        if told:
            tqdm.write(f"{encoder}: {told}", file=sys.stderr)
    return opened, loaded, card


def padded_box(shape: Triple, patch: Triple) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the smallest box around a scan whose edges are multiples of the patch, padding shared by both ends."""
    extent, step = np.array(shape), np.array(patch)
    padded = -(-extent // step) * step
    low = -((padded - extent) // 2)
    return low, low + padded


def whole_scan(store: Scans, scan: str, patch: Triple) -> torch.Tensor:
    """The whole prepared scan as ``(1, C, X, Y, Z)`` float32, padded with background to multiples of the patch."""
    return box_of_scan(store, scan, *padded_box(store.shape(scan), patch))


def box_of_scan(store: Scans, scan: str, low: Corner | None = None, high: Corner | None = None) -> torch.Tensor:
    """The box ``[low, high)`` of a prepared scan as a model takes it, ``(1, C, X, Y, Z)`` float32."""
    return torch.from_numpy(store.read_channels(scan, low, high).astype(np.float32))[None]


@torch.inference_mode()
def encode_scans(
    encoder: AnyEncoder, store: Store, scans: Sequence[str], *, device: str = "cpu", desc: str = "embed"
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield ``(scan_id, cls (D,), mean of patch tokens (D,))`` for each scan, in order, float32."""
    encoder = encoder.eval().to(device)
    for scan in tqdm(scans, desc=desc, unit="scan"):
        tokens = encoder(whole_scan(store, scan, encoder.config.patch_xyz).to(device))
        yield scan, tokens.cls_BD[0].float().cpu().numpy(), tokens.patches_BPD[0].float().mean(0).cpu().numpy()
