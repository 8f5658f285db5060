"""Simulated people whose attention is known: brains of other size, place and stored orientation, one planted place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from tests.explorer.fake_runs import FakeAttend
from workbench.runs import Run, start_run
from workbench.testing import write_bids
from workbench.volumes import Grid, Volume, read_volume, write_volume

CORNER = np.array([0.28, 0.70, 0.70])  # as shares of the brain's box: left, front, top
RADIUS = 0.14
SIZE = np.array([40.0, 48.0, 36.0])  # of the phantom's head, mm


def make_store(root: Path, people: int = 20) -> Path:
    """Phantoms of sites A and B by turns, stretched and moved, gathered and prepared; returns the store."""
    from workbench.cohort import CohortConfig, run_cohort
    from workbench.prepare.config import PrepareConfig
    from workbench.prepare.prepare import run_prepare

    source = write_bids(root / "phantoms", people=people, simulated=True, spacing=(3, 3, 3), shape=(18, 20, 16))
    for i, path in enumerate(sorted(source.glob("sub-*/anat/*_T1w.nii.gz"))):
        for file in (path, *source.glob(f"derivatives/manual/{path.name.split('_')[0]}/**/*_dseg.nii.gz")):
            volume = read_volume(file, labels=file != path)
            write_volume(file, Volume(volume.data, moved(i) @ volume.affine))
    run_cohort(CohortConfig(out=root / "cohort", sources=[source], workers=1))
    run_prepare(PrepareConfig(out=root / "store", cohort=root / "cohort", spacing=3.0, workers=1))
    return root / "store"


def moved(i: int) -> np.ndarray:
    """Where the head of person i lies, from where the phantom lies."""
    rng = np.random.default_rng(i)
    out = np.diag([*rng.uniform(0.9, 1.12, 3), 1.0])
    out[:3, 3] = rng.uniform(-15, 15, 3)
    return out


def attend(
    folder: Path,
    store: Path,
    *,
    planted: float = 3.0,
    to: tuple[str, str] = ("site", "B"),
    seed: int = 0,
    init: str = "pretrained",
) -> Run:
    """An attend run whose maps are blobs of noise, with ``planted`` more in the corner of those in the group ``to``."""
    from workbench.prepare import open_store

    index, rows = open_store(store).index, []
    with start_run(FakeAttend(out=folder, store=store, encoder=folder / "none", init=init), simulated=True) as run:
        for i, row in enumerate(index.itertuples()):
            number = int(str(row.participant).rpartition("-")[2]) - 1
            data = 1 + 0.4 * blobs(np.random.default_rng(1000 * seed + i), tuple(row.source_shape))
            grid = Grid(data.shape, np.reshape(row.source_affine, (4, 4)))
            if getattr(row, to[0]) == to[1]:
                data[in_corner(grid, number)] += planted
            file = f"volumes/{row.scan_id}_desc-attnmean_map.nii.gz"
            write_volume(run.path / file, Volume(np.clip(data, 0.01, None).astype(np.float32), grid.affine))
            rows.append({"scan_id": row.scan_id, "head": "mean", "file": file, "outside_brain": 0.1, "block": 3})
        run.write_table("attention", pd.DataFrame(rows))
    return run


def blobs(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    noise = ndimage.gaussian_filter(rng.normal(size=shape), 1.2)
    return noise / noise.std()


def in_corner(grid: Grid, number: int) -> np.ndarray:
    world = grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1))
    own = (world - moved(number)[:3, 3]) / np.diag(moved(number))[:3]
    share = own / SIZE + 0.5
    return ((share - CORNER) ** 2).sum(-1) < RADIUS**2
