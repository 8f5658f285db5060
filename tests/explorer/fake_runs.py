"""A small tree of runs as the explorer meets them, without an encoder: phantoms, planted clusters, known attention.

The shapes of tables and file names are those that the embed, attend and segment jobs write.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from workbench.runs import JobConfig, Run, start_run
from workbench.testing import MARKER_MM, phantom, phantom_labels
from workbench.volumes import Grid, Volume, read_grid, read_volume, write_volume

STRUCTURES = ("left_hippocampus", "right_hippocampus")
ORIENTATIONS = ("RAS", "LAS", "PSR")
SITES = ("North", "South")


class FakeEmbed(JobConfig):
    job: ClassVar[str] = "embed"
    store: Path
    encoder: Path
    init: str = "pretrained"


class FakeAttend(FakeEmbed):
    job: ClassVar[str] = "attend"


class FakeTokens(FakeEmbed):
    job: ClassVar[str] = "tokens"


class FakeShift(JobConfig):
    job: ClassVar[str] = "shift"
    embed: Path


class FakeSegment(FakeEmbed):
    job: ClassVar[str] = "segment"
    structures: tuple[str, ...] = STRUCTURES


def write_fake_runs(root: Path, *, n: int = 12, heads: int = 2, simulated: bool = True) -> Path:
    """Runs ``embed``, ``attend``, ``attend-random`` and ``segment`` under ``root / "runs"``; returns that folder.

    Scan ``i`` is at site North (even) or South (odd): North lies near (-5, 0) in UMAP, South near (5, 0). Scan
    ``n - 1`` has neither segmentation, nor attention, nor prediction. Attention is 1 near the marker, small elsewhere.
    """
    scans = [_scan(root / "data", i, bare=i == n - 1, simulated=simulated) for i in range(n)]
    index, runs, grid_of = pd.DataFrame([s for s, _ in scans]), root / "runs", {s["scan_id"]: g for s, g in scans}
    store, encoder = root / "store", root / "runs" / "pretrain"
    labels = pd.DataFrame(
        {
            "dataset": "fake",
            "code": [1, 2],
            "name": ["Right Hippocampus", "Left Hippocampus"],
            "structure": ["right_hippocampus", "left_hippocampus"],
        }
    )

    with start_run(FakeEmbed(out=runs / "embed", store=store, encoder=encoder), simulated=simulated) as run:
        run.write_table("scans", index)
        run.write_table("labels", labels)
        run.write_table("projections", _projections(index))
        run.write_table(
            "embeddings",
            pd.DataFrame({"scan_id": index["scan_id"], "cls": [[0.0, 1.0]] * n, "patch_mean": [[0.0, 1.0]] * n}),
        )
    for name, init in (("attend", "pretrained"), ("attend-random", "random")):
        config = FakeAttend(out=runs / name, store=store, encoder=encoder, init=init)
        with start_run(config, simulated=simulated) as run:
            run.write_table("attention", _attention(run, index.iloc[:-1], grid_of, heads))
            run.write_table("attention_random", _random_attention(run, index.iloc[:-1], grid_of))
    with start_run(FakeSegment(out=runs / "segment", store=store, encoder=encoder), simulated=simulated) as run:
        run.write_table("dice", _segmentations(run, index.iloc[:-1], grid_of))
    return runs


def write_findings(runs: Path) -> Path:
    """Beside those of :func:`write_fake_runs`: ``shift`` (the site is named in 83 % of people), ``tokens`` (a map of
    where else, of every scan), and ``embed-b``, in which North and South lie the other way round."""
    first = Run(runs / "embed")
    common = {name: first.config[name] for name in ("store", "encoder")}
    scans, people = first.read_table("scans"), 12
    with start_run(FakeShift(out=runs / "shift", embed=runs / "embed"), simulated=True) as run:
        known = {"measure": "site predicted (balanced accuracy)", "chance": 0.5, "people": people}
        run.write_table(
            "shift",
            pd.DataFrame(
                [
                    {**known, "space": "full", "value": 0.83, "low": 0.73, "high": 0.93, "p": 0.0005},
                    {**known, "space": "after ComBat", "value": 0.47, "low": 0.3, "high": 0.64, "p": 0.6},
                ]
            ),
        )
        mixed = {"space": "full", "same_site": 0.8, "low": 0.7, "high": 0.9, "if_mixed": 0.45, "people": people // 2}
        run.write_table("mixing", pd.DataFrame([{**mixed, "site": site} for site in SITES]))
        run.write_table("notes", pd.DataFrame({"note": ["Simulated: nothing follows from it."]}))
    with start_run(FakeTokens(out=runs / "tokens", **common), simulated=True) as run:
        rows = []
        for row in scans.itertuples():
            grid = read_grid(Path(row.path))
            near = np.exp(-((_world(grid) + MARKER_MM) ** 2).sum(-1) / 80)
            file = f"volumes/{row.scan_id}_desc-similarity_map.nii.gz"
            sidecar = {"query": "voxel 0, 0, 0", "source": row.scan_id}
            write_volume(run.path / file, Volume(near.astype(np.float32), grid.affine), sidecar=sidecar)
            rows.append({"scan_id": row.scan_id, "kind": "similarity", "file": file})
        run.write_table("maps", pd.DataFrame(rows))
    with start_run(FakeEmbed(out=runs / "embed-b", init="random", **common), simulated=True) as run:
        run.write_table("scans", scans)
        places = first.read_table("projections")
        run.write_table("projections", places.assign(umap_1=-places["umap_1"]))
    return runs


def write_second_segmentation(runs: Path) -> Path:
    """A run ``segment-b`` beside those of :func:`write_fake_runs`: it is right to the voxel, except in scan 4, where it
    found nothing; its scores are those of ``segment`` plus 0.05, and 0.4 less there."""
    first = Run(runs / "segment")
    config = first.config
    table = first.read_table("dice")
    low = table["scan_id"] == "fake_sub-04"
    scans = Run(runs / "embed").read_table("scans").set_index("scan_id")
    own = FakeSegment(out=runs / "segment-b", store=config["store"], encoder=config["encoder"], init="random")
    with start_run(own, simulated=True) as run:
        for row in table.drop_duplicates("scan_id").itertuples():
            truth = read_volume(Path(scans.loc[row.scan_id, "seg_path"]), labels=True)
            data = np.where(truth.data == 2, 1, np.where(truth.data == 1, 2, 0))
            write_volume(run.path / row.file, Volume(data * (row.scan_id != "fake_sub-04"), truth.affine))
        run.write_table("dice", table.assign(dice=table["dice"] + np.where(low, -0.4, 0.05)))
    return runs


def _scan(folder: Path, i: int, *, bare: bool, simulated: bool) -> tuple[dict[str, Any], Grid]:
    scan_id, axcodes = f"fake_sub-{i:02d}", ORIENTATIONS[i % len(ORIENTATIONS)]
    volume = phantom(axcodes, noise=3, seed=i)
    path, seg = folder / f"{scan_id}_T1w.nii.gz", folder / f"{scan_id}_dseg.nii.gz"
    write_volume(path, volume)
    if not bare:
        write_volume(seg, phantom_labels(volume.grid))
    x, y, z = volume.data.shape
    row = {
        "scan_id": scan_id,
        "participant": f"fake/sub-{i:02d}",
        "session": "",
        "dataset": "fake",
        "path": str(path),
        "seg_path": None if bare else str(seg),
        "mask_path": None,
        "site": SITES[i % 2],
        "scanner": "",
        "sex": "FM"[i // 2 % 2],
        "age": 20.0 + 3 * i,
        "diagnosis": ("control", "patient")[i % 3 == 0],
        "simulated": simulated,
        "x": x,
        "y": y,
        "z": z,
        "sx": 2.0,
        "sy": 2.0,
        "sz": 2.0,
        "axcodes": axcodes,
        "affine": list(volume.affine.ravel()),
    }
    return row, volume.grid


def _projections(index: pd.DataFrame) -> pd.DataFrame:
    draw = np.random.default_rng(0).normal(0, 0.8, (len(index), 2))
    side = np.where(index["site"] == "North", -5.0, 5.0)
    return pd.DataFrame(
        {
            "scan_id": index["scan_id"],
            "umap_1": side + draw[:, 0],
            "umap_2": draw[:, 1],
            "pca_1": draw[:, 0],
            "pca_2": draw[:, 1] + side,
        }
    )


def _attention(run: Run, index: pd.DataFrame, grid_of: dict[str, Grid], heads: int) -> pd.DataFrame:
    rows = []
    for row in index.itertuples():
        grid = grid_of[row.scan_id]
        for k in range(heads + 1):
            head, name = ("mean", "attnmean") if k == 0 else (str(k), f"attnhead{k}")
            near = np.exp(-((_world(grid) - MARKER_MM * (1 if k != 2 else -1)) ** 2).sum(-1) / 80)
            file = f"volumes/{row.scan_id}_desc-{name}_map.nii.gz"
            write_volume(run.path / file, Volume((0.001 * (k + 1) * near).astype(np.float32), grid.affine))
            rows.append({"scan_id": row.scan_id, "head": head, "file": file, "outside_brain": 0.1, "block": 3})
    return pd.DataFrame(rows)


def _random_attention(run: Run, index: pd.DataFrame, grid_of: dict[str, Grid]) -> pd.DataFrame:
    """Near the mirrored marker, so that it is never taken for the encoder's own."""
    rows = []
    for row in index.itertuples():
        near = np.exp(-((_world(grid_of[row.scan_id]) + MARKER_MM) ** 2).sum(-1) / 80)
        file = f"volumes/{row.scan_id}_desc-attnmeanrandom_map.nii.gz"
        write_volume(
            run.path / file,
            Volume((0.001 * near).astype(np.float32), grid_of[row.scan_id].affine),
            sidecar={"unit": "times uniform", "block": 3},
        )
        rows.append({"scan_id": row.scan_id, "head": "mean", "file": file, "outside_brain": 0.1, "block": 3})
    return pd.DataFrame(rows)


def _segmentations(run: Run, index: pd.DataFrame, grid_of: dict[str, Grid]) -> pd.DataFrame:
    rows = []
    for i, row in enumerate(index.itertuples()):
        grid = grid_of[row.scan_id]
        truth = phantom_labels(grid).data
        data = np.where(truth == 2, 1, np.where(truth == 1, 2, 0))  # codes in the order of STRUCTURES
        file = f"volumes/{row.scan_id}_dseg.nii.gz"
        write_volume(run.path / file, Volume(np.roll(data, 1, axis=0), grid.affine))
        rows += [
            {
                "scan_id": row.scan_id,
                "participant": row.participant,
                "dataset": "fake",
                "site": row.site,
                "split": "test" if i % 3 else "train",
                "structure": s,
                "dice": 0.9 - 0.01 * i - 0.05 * k,
                "file": file,
            }
            for k, s in enumerate(STRUCTURES)
        ]
    return pd.DataFrame(rows)


def _world(grid: Grid) -> np.ndarray:
    return grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1))
