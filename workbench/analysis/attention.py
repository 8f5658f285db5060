"""CLS attention of one block as NIfTI in the scan's own space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from workbench.analysis.config import AttendConfig
from workbench.engine.device import pick_device
from workbench.errors import WorkbenchError
from workbench.model.encode import fingerprints, open_matching, padded_box, whole_scan
from workbench.model.vit import Encoder
from workbench.prepare.restore import to_source_space
from workbench.prepare.store import Store
from workbench.runs import Run, finished, start_run
from workbench.volumes import Grid, Volume, write_volume
from workbench.volumes.volume import Triple

UNIT = "times uniform"  # attention of a patch times the number of patches: 1 is what a token gets if all get the same


def run_attend(config: AttendConfig, *, overwrite: bool = False) -> Run:
    """``volumes/<scan>_desc-attnmean_map.nii.gz`` and one map a head, and ``results/attention.parquet``."""
    store, encoder, card = open_matching(config.store, config.encoder, init=config.init, seed=config.seed)
    inputs = fingerprints(store, config.encoder)
    if not overwrite and (done := finished(config, inputs)):
        return done
    scans = list(config.scans) or store.scan_ids
    for scan in scans:
        store.position(scan)  # an unknown name is an error before anything is written
    depth = encoder.config.depth
    if not -depth <= config.block < depth:
        raise WorkbenchError(f"block {config.block}: the encoder has {depth}", remedy=f"choose 0 to {depth - 1}, or -1")
    facts = {"seed": config.seed, "store": str(config.store), "encoder": str(config.encoder), "init": config.init,
             "objective": card.objective, "preparation": store.fingerprint, "simulated": store.simulated}
    with start_run(config, overwrite=overwrite, inputs=inputs, **facts) as run:
        encoder = encoder.to(pick_device(config.accelerator))
        sidecar = {"encoder": str(config.encoder), "init": config.init, "block": config.block % depth, "query": "CLS",
                   "interpolation": config.interpolation, "unit": UNIT}
        rows = [row for scan in tqdm(scans, desc="attend", unit="scan")
                for row in attend_scan(encoder, store, scan, config, run.path, sidecar)]
        run.write_table("attention", pd.DataFrame(rows))
    return run


@torch.inference_mode()
def cls_maps(encoder: Encoder, store: Store, scan: str, *, block: int = -1,
             interpolation: str = "nearest") -> tuple[np.ndarray, np.ndarray]:
    """CLS attention of a whole scan on its prepared grid.

    Returns:
        ``(heads, X, Y, Z)`` float32, in multiples of uniform attention, and the raw rows ``(heads, P)``.
    """
    patch = encoder.config.patch_xyz
    device = next(encoder.parameters()).device
    rows_1HP, grid_xyz = encoder.eval().cls_attention(whole_scan(store, scan, patch).to(device), block=block)
    maps = rows_1HP.unflatten(2, grid_xyz) * rows_1HP.shape[2]  # (1, H, x, y, z)
    size = tuple(n * p for n, p in zip(grid_xyz, patch, strict=True))
    mode = {"mode": "nearest"} if interpolation == "nearest" else {"mode": "trilinear", "align_corners": False}
    voxels = torch.nn.functional.interpolate(maps, size=size, **mode)[0]  # (H, X, Y, Z) of the padded box
    low, _ = padded_box(store.shape(scan), patch)
    x, y, z = (slice(-a, -a + n) for a, n in zip(low, store.shape(scan), strict=True))  # cut the padding off
    return voxels[:, x, y, z].cpu().numpy(), rows_1HP[0].cpu().numpy()


def attend_scan(encoder: Encoder, store: Store, scan: str, config: AttendConfig, folder: Path,
                sidecar: dict[str, object]) -> list[dict[str, object]]:
    """Write the maps of one scan; a row for each."""
    maps, raw = cls_maps(encoder, store, scan, block=config.block, interpolation=config.interpolation)
    grid, source, brain = store.grid(scan), store.source_grid(scan), brain_share(store, scan, encoder.config.patch_xyz)
    sidecar = {**sidecar, "simulated": bool(store.index["simulated"].iloc[store.position(scan)])}
    named = {"mean": maps.mean(axis=0)} | ({str(h + 1): m for h, m in enumerate(maps)} if config.heads else {})
    shares = {"mean": raw.mean(axis=0)} | {str(h + 1): r for h, r in enumerate(raw)}
    rows = []
    for head, values in named.items():
        label = "attnmean" if head == "mean" else f"attnhead{head}"
        file = Path("volumes") / f"{scan}_desc-{label}_map.nii.gz"
        outside = float((shares[head] * (1 - brain)).sum() / shares[head].sum())
        write_volume(folder / file, in_source_space(values, grid, source, config.interpolation),
                     sidecar={**sidecar, "head": head, "outside_brain": outside})
        rows.append({"scan_id": scan, "head": head, "file": str(file), "block": sidecar["block"],
                     "outside_brain": outside})
    return rows


def brain_share(store: Store, scan: str, patch: Triple) -> np.ndarray:
    """Share of brain in each patch of the padded scan, ``(P,)``; padding is background too."""
    inside = (whole_scan(store, scan, patch) != 0).float()
    return torch.nn.functional.avg_pool3d(inside, patch, stride=patch).flatten().numpy()


def in_source_space(values: np.ndarray, grid: Grid, source: Grid, interpolation: str) -> Volume:
    return to_source_space(values, grid, source, order=0 if interpolation == "nearest" else 1, fill=0.0)
