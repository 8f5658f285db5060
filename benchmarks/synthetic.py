"""A prepared store without a cohort behind it: simulated brain boxes at 1 mm, for benchmarks that read one.

The files and the index are those that `workbench prepare` writes. A store of many scans is made of a few real files and
hard links to them, so that 100,000 scans take the disk of eight.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from workbench.prepare import PrepareConfig
from workbench.prepare.fingerprint import preparation_fingerprint
from workbench.prepare.scan import scan_file
from workbench.prepare.store import Store, open_store
from workbench.runs import start_run
from workbench.volumes.volume import Triple

BOX: Triple = (140, 170, 140)  # of an adult's brain at 1 mm


def synthetic_store(out: Path, scans: int, files: int = 8) -> Store:
    """A finished store of ``scans`` scans, every one of them one of ``files`` different arrays of about `BOX`."""
    config = _settings(out)
    with start_run(config, **_facts(config)) as run:
        folder = run.path / "scans"
        folder.mkdir()
        names, shapes = [f"sub-{i:06d}_T1w" for i in range(scans)], []
        for i, name in enumerate(names):
            if i < files:
                box = brain_box(i)
                np.save(scan_file(folder, name), box)
                shapes.append(box.shape)
            else:
                os.link(scan_file(folder, names[i % files]), scan_file(folder, name))
                shapes.append(shapes[i % files])
        run.write_table("index", _index(names, np.array(shapes)))
    return open_store(out)


def store_of(out: Path, boxes: dict[str, np.ndarray]) -> Store:
    """A finished store of these prepared scans, float16."""
    config = _settings(out)
    with start_run(config, **_facts(config)) as run:
        (run.path / "scans").mkdir()
        for name in sorted(boxes):
            np.save(scan_file(run.path / "scans", name), boxes[name])
        run.write_table("index", _index(sorted(boxes), np.array([boxes[name].shape for name in sorted(boxes)])))
    return open_store(out)


def brain_box(seed: int) -> np.ndarray:
    """Smooth z-scored texture in an ellipsoid that fills its box; 0 outside it, float16."""
    rng = np.random.default_rng(seed)
    shape = tuple(int(n + rng.integers(-6, 7)) for n in BOX)
    coarse = torch.from_numpy(rng.standard_normal((1, 1, 18, 21, 18), dtype=np.float32))
    texture = F.interpolate(coarse, size=shape, mode="trilinear")[0, 0].numpy()
    texture += 0.3 * rng.standard_normal(shape, dtype=np.float32)
    x, y, z = np.ogrid[tuple(slice(-1, 1, n * 1j) for n in shape)]
    inside = x**2 + y**2 + z**2 <= 1
    texture = (texture - texture[inside].mean()) / texture[inside].std()
    return np.where(inside, np.where(texture == 0, 1e-3, texture), 0).astype(np.float16)


def _settings(out: Path) -> PrepareConfig:
    return PrepareConfig(out=out, cohort=out.parent / "no_cohort", spacing=1.0)


def _facts(config: PrepareConfig) -> dict[str, Any]:
    return {"cohort_fingerprint": "synthetic", "preparation": preparation_fingerprint(config), "simulated": True}


def _index(names: list[str], shapes: np.ndarray) -> pd.DataFrame:
    """The columns that `prepare` writes, and the kind of columns that a cohort brings."""
    n, affine = len(names), np.eye(4).ravel().tolist()
    at = np.arange(n)
    return pd.DataFrame(
        {
            "scan_id": names,
            "participant": [name.split("_")[0] for name in names],
            "dataset": "synthetic",
            "path": [f"/no/where/{name}.nii.gz" for name in names],
            "fingerprint": [f"{i:064x}" for i in at],
            "site": at % 7,
            "age": 20.0 + at % 60,
            "sex": np.where(at % 2, "F", "M"),
            "px": shapes[:, 0],
            "py": shapes[:, 1],
            "pz": shapes[:, 2],
            "affine": [affine] * n,
            "source_shape": [[176, 240, 256]] * n,
            "source_affine": [affine] * n,
            "has_seg": False,
            "mask_kind": "synthetic",
            "brain_ml": 1400.0,
            "key": [f"{i:064x}" for i in at],
        }
    )
