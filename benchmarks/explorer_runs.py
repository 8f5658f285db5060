"""Runs for the explorer's benchmark: 8 scans of 256³ with overlays, and an embedding of 100,000 scans."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, ClassVar

import nibabel as nib
import numpy as np
import pandas as pd

from workbench.runs import JobConfig, start_run

SIZE, SCANS, MANY, MOST, LARGE = 256, 8, 100_000, 1_000_000, "z-embed-large"


class Embed(JobConfig):
    job: ClassVar[str] = "embed"
    store: Path
    encoder: Path
    init: str = "pretrained"


class Attend(Embed):
    job: ClassVar[str] = "attend"


class Segment(Embed):
    job: ClassVar[str] = "segment"
    structures: tuple[str, ...] = ("left_hippocampus", "right_hippocampus")


def write_runs(root: Path) -> Path:
    """Runs ``embed``, ``attend``, ``segment`` and the large one below ``root / "runs"``; returns that folder."""
    runs, common = root / "runs", {"store": root / "store", "encoder": root / "runs" / "pretrain"}
    scans = _scans(root)
    with start_run(Embed(out=runs / "embed", **common), simulated=True) as run:
        run.write_table("scans", scans)
        run.write_table("projections", _places(scans["scan_id"].tolist()))
    with start_run(Attend(out=runs / "attend", **common), simulated=True) as run:
        rows = [{"scan_id": i, "head": "mean", "file": f"volumes/{i}.nii.gz"} for i in scans["scan_id"]]
        files = [run.path / row["file"] for row in rows]
        _write_all(files, _blob(3))
        run.write_table("attention", pd.DataFrame(rows))
    with start_run(Segment(out=runs / "segment", **common), simulated=True) as run:
        _write_all([run.path / f"volumes/{i}.nii.gz" for i in scans["scan_id"]], (_blob(1) > 0.7).astype(np.uint8))
        rows = []
        for i, site in zip(scans["scan_id"], scans["site"], strict=True):
            rows += [
                {
                    "scan_id": i,
                    "participant": i,
                    "site": site,
                    "split": "test",
                    "structure": s,
                    "dice": 0.8,
                    "file": f"volumes/{i}.nii.gz",
                }
                for s in ("left_hippocampus", "right_hippocampus")
            ]
        run.write_table("dice", pd.DataFrame(rows))
    write_many(runs / LARGE, MANY)
    return runs


def write_many(folder: Path, n: int) -> Path:
    """An embedding of ``n`` scans without files as the run ``folder``."""
    ids = [f"many_sub-{k:07d}" for k in range(n)]
    rng = np.random.default_rng(0)
    with start_run(
        Embed(out=folder, store=folder.parent / "store", encoder=folder.parent / "x"), simulated=True
    ) as run:
        run.write_table(
            "scans",
            pd.DataFrame(
                {
                    "scan_id": ids,
                    "participant": ids,
                    "path": "",
                    "site": rng.choice([f"site {k}" for k in range(8)], n),
                    "sex": rng.choice(["F", "M"], n),
                    "age": rng.normal(50, 15, n).round(1),
                    "simulated": True,
                }
            ),
        )
        run.write_table("projections", _places(ids))
    return folder


def _scans(root: Path) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    rng = np.random.default_rng(0)
    head = _blob(2)
    noise = rng.normal(0, 30, (SIZE // 4,) * 3).repeat(4, 0).repeat(4, 1).repeat(4, 2)
    paths = [root / "data" / f"big_sub-{k:02d}_T1w.nii.gz" for k in range(SCANS)]
    _write_all(paths, np.where(head > 0.1, 500 * head + noise, 0).astype(np.int16))
    for k, path in enumerate(paths):
        rows.append(
            {
                "scan_id": f"big_sub-{k:02d}",
                "participant": f"big/sub-{k:02d}",
                "path": str(path),
                "site": "AB"[k % 2],
                "sex": "FM"[k % 2],
                "age": 20.0 + 3 * k,
                "simulated": True,
            }
        )
    return pd.DataFrame(rows)


def _write_all(paths: list[Path], data: np.ndarray) -> None:
    """The same volume in each file but for a few voxels: two equal volumes in a row would not be sent twice."""
    for k, path in enumerate(paths):
        image = nib.Nifti1Image(data, np.eye(4))
        data[100:102, 100, 100] = k % 2 if data.dtype == np.uint8 else data.max() * (k + 1) / len(paths)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(image.to_bytes(), 1))


def _blob(width: float) -> np.ndarray:
    axis = np.linspace(-2, 2, SIZE, dtype=np.float32)
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij", sparse=True)
    return np.exp(-width * (x**2 + y**2 + z**2) / 2).astype(np.float32) * (x**2 + y**2 + z**2 < 3)


def _places(ids: list[str]) -> pd.DataFrame:
    draw = np.random.default_rng(1).normal(size=(len(ids), 6)).astype(np.float32)
    names = ("umap_1", "umap_2", "tsne_1", "tsne_2", "pca_1", "pca_2")
    return pd.DataFrame({"scan_id": ids, **{n: draw[:, i] for i, n in enumerate(names)}})
