"""Which file belongs to a case, and its bytes. Only files that the tables name are ever opened.

An id is looked up in a table; a relative path out of a table must stay inside its run folder; a header is checked
before anything is read.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import json
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from workbench.errors import ScanError, WorkbenchError
from workbench.explorer.stored.catalog import Catalog
from workbench.runs import Run
from workbench.volumes import Volume, read_grid

MAX_BYTES = 600 * 1024**2  # on disk; the largest volume that read_grid accepts is 512 MiB as float32


@dataclass(frozen=True)
class NiftiFile:
    """The content of a NIfTI file, with the affine that the workbench reads from it (16 floats, row by row)."""

    content: bytes
    affine: tuple[float, ...]


def case_row(cohort: pd.DataFrame, scan_id: str) -> dict[str, Any]:
    """The cohort row of one scan; an id that is not in the table is refused."""
    rows = cohort.loc[cohort["scan_id"] == scan_id] if "scan_id" in cohort else cohort
    if len(rows) != 1:
        raise WorkbenchError(
            f"'{str(scan_id)[:80]}': no such scan",
            cause="it is not in the table of this run",
            remedy="choose a point in the scatter or a row of the table",
        )
    return {str(k): v for k, v in rows.iloc[0].to_dict().items()}


def contrasts_of(cohort: pd.DataFrame) -> list[str]:
    """Of the scans of a cohort, in order; empty where it says nothing of them."""
    return str(cohort["channels"].iloc[0]).split("+") if len(cohort) and "channels" in cohort else []


def scan_file(row: dict[str, Any], contrast: str | None = None) -> Path:
    """The file of a scan, in the contrast that is asked for where it has several."""
    path, names = row.get("path"), str(row.get("channels", "")).split("+")
    if contrast in names[1:]:
        path = dict(zip(names[1:], json.loads(str(row["channel_paths"])), strict=True))[contrast]
        if not path:
            raise WorkbenchError(
                f"{str(row['scan_id'])[:80]}: has no {contrast}",
                cause="zeros stand in its place for the encoder",
                remedy=f"choose the contrast {names[0]} (Settings), or another scan",
            )
    if path is None or pd.isna(path) or not path:
        raise WorkbenchError(
            f"{str(row['scan_id'])[:80]}: no file to show",
            cause="the table of this run names none",
            remedy="run `workbench embed` again on a store whose cohort knows its files",
        )
    return Path(str(path))


def truth_file(row: dict[str, Any]) -> Path | None:
    path = row.get("seg_path")
    return None if path is None or pd.isna(path) or not path else Path(str(path))


def attention_heads(catalog: Catalog, run: str) -> list[str]:
    """Heads that the run holds maps of: ``"mean"`` first, then by number."""
    heads = catalog.table(run, "attention")["head"].astype(str).unique()
    return sorted(heads, key=lambda h: (h != "mean", int(h) if h.isdigit() else 0, h))


def attention_file(catalog: Catalog, run: str, scan_id: str, head: str) -> Path | None:
    """The attention map of a scan, or None where the run has none of it."""
    table = catalog.table(run, "attention")
    rows = table.loc[(table["scan_id"] == scan_id) & (table["head"].astype(str) == head)]
    return inside(catalog.run(run), str(rows["file"].iloc[0])) if len(rows) else None


def random_attention_file(catalog: Catalog, run: str, scan_id: str) -> Path | None:
    """The map of random weights that an attention run wrote beside its own, or None."""
    if "attention_random" not in catalog.run(run).tables():
        return None
    table = catalog.table(run, "attention_random")
    rows = table.loc[table["scan_id"] == scan_id]
    return inside(catalog.run(run), str(rows["file"].iloc[0])) if len(rows) else None


def token_map_file(catalog: Catalog, run: str, scan_id: str, kind: str) -> Path | None:
    """A map of a tokens run: ``similarity`` or ``rgb``; None where the run has none of this scan."""
    if "maps" not in catalog.run(run).tables():
        return None
    table = catalog.table(run, "maps")
    rows = table.loc[(table["scan_id"] == scan_id) & (table["kind"] == kind)]
    return inside(catalog.run(run), str(rows["file"].iloc[0])) if len(rows) else None


def prediction_file(catalog: Catalog, run: str, scan_id: str) -> Path | None:
    """The predicted label map, or None. A scan without truth has no Dice row, yet may have a prediction.

    ``scan_id`` must come from :func:`case_row`.
    """
    table = catalog.dice(run)
    rows = table.loc[table["scan_id"] == scan_id]
    relative = str(rows["file"].iloc[0]) if len(rows) else f"volumes/{scan_id}_dseg.nii.gz"
    path = inside(catalog.run(run), relative)
    return path if len(rows) or path.is_file() else None


def inside(run: Run, relative: str) -> Path:
    """``relative`` as a path that truly lies in the run folder, links resolved; anything else is refused."""
    root = run.path.resolve()
    path = (root / relative).resolve()
    if not path.is_relative_to(root):
        raise WorkbenchError(
            f"'{relative[:80]}': refused",
            cause="the path leads out of the run folder",
            remedy="a run's tables name files of the run itself; was the table changed by hand?",
        )
    return path


def read_nifti(path: Path) -> NiftiFile:
    """The file as it is, after its header has passed the reader's checks (3D, size limits, a usable affine)."""
    affine = _rgb_affine(path) if path.name.endswith("_rgb.nii.gz") else read_grid(path).affine
    if path.stat().st_size > MAX_BYTES:
        raise ScanError(
            f"{path}: the file is too large to show",
            cause=f"more than {MAX_BYTES // 1024**2} MiB",
            remedy="resample it, or open it in a desktop viewer",
        )
    return NiftiFile(path.read_bytes(), tuple(float(v) for v in affine.ravel()))


def coarse_step(path: Path) -> int:
    """Of how many voxels along an axis one is enough for a browser that draws without a GPU: 1 up to 160 cubed."""
    voxels = math.prod(read_grid(path).shape)
    return max(1, math.ceil((voxels / COARSE) ** (1 / 3)))


COARSE = 160**3


def read_coarse(path: Path, step: int) -> NiftiFile:
    """Every ``step``-th voxel of a file along each axis: the values and places that those voxels have in the file.

    Kept for all sessions, a few at a time: taking a compressed file apart is most of the wait for the next case.

    Raises:
        ScanError: as :func:`read_nifti`.
    """
    return _read_coarse(path, path.stat().st_mtime_ns, step)


def prepare_coarse(paths: list[Path], done: Callable[[], None]) -> None:
    """Read these ahead, aside: the case after this one is often the next that is asked for. Never an error; ``done`` is
    called aside at the end."""

    def work() -> None:
        for path in paths:
            with contextlib.suppress(WorkbenchError, OSError):  # told when the file is really wanted
                if (step := coarse_step(path)) > 1:
                    read_coarse(path, step)
        done()

    _aside.submit(work)


_aside = ThreadPoolExecutor(1, thread_name_prefix="coarse")  # starts its thread when it is first used


@functools.lru_cache(maxsize=16)
def _read_coarse(path: Path, mtime_ns: int, step: int) -> NiftiFile:
    grid = read_grid(path)
    image = nib.load(path)
    assert isinstance(image, nib.Nifti1Image)
    proxy: Any = image.dataobj
    plain = (proxy.slope, proxy.inter) == (1.0, 0.0)  # stored numbers are the values: they keep their type
    data = np.asarray(proxy.get_unscaled()) if plain else np.asarray(proxy, np.float32)
    first = (step - 1) // 2
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.full(3, first)
    affine[:3, :3] *= step
    every = slice(first, None, step)
    return nifti_bytes(Volume(np.ascontiguousarray(data.reshape(grid.shape)[every, every, every]), affine), level=0)


def _rgb_affine(path: Path) -> np.ndarray:
    """Colours have three values a voxel, which the reader of scans refuses; only the tokens job writes them."""
    if not path.is_file():
        raise ScanError(f"{path}: no such file", remedy="run `workbench tokens` again")
    try:
        image = nib.load(path)
        assert isinstance(image, nib.Nifti1Image)
        fits = image.get_data_dtype().itemsize == 3 and len(image.shape) == 3 and np.prod(image.shape) <= 512**3
    except Exception as error:
        raise ScanError(
            f"{path}: not readable as NIfTI",
            cause=str(error).splitlines()[0][:200],
            remedy="run `workbench tokens` again",
        ) from error
    if not fits:
        raise ScanError(f"{path}: not a volume of colours", remedy="run `workbench tokens` again")
    return np.asarray(image.affine, dtype=float)


def nifti_bytes(volume: Volume, *, level: int = 1) -> NiftiFile:
    """An array of the server as the viewer takes it: a NIfTI in memory, compressed unless ``level`` is 0."""
    image = nib.Nifti1Image(volume.data, volume.affine)
    image.set_sform(volume.affine, code=1)
    image.header.set_xyzt_units("mm")
    # level 1: it goes over a socket of this machine, and maps of blocks shrink at any level
    content = gzip.compress(image.to_bytes(), level) if level else image.to_bytes()
    return NiftiFile(content, tuple(float(v) for v in volume.affine.ravel()))
