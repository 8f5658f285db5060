"""The prepared store: any crop of any scan, straight from the disk.

Thousands of scans are opened by dozens of data-loading processes, so what a process holds is a few numpy arrays (about
100 bytes a scan); the cohort's columns are read from ``results/index.parquet`` only when somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from workbench.cohort.contrasts import USUAL
from workbench.columns import UNKNOWN
from workbench.errors import WorkbenchError
from workbench.prepare.config import PrepareConfig
from workbench.prepare.content import REMEDY, index_file, store_content
from workbench.prepare.fingerprint import scan_settings
from workbench.prepare.scan import scan_file, seg_file
from workbench.runs import Run
from workbench.runs.tables import column_names, read_arrow, read_parquet
from workbench.volumes import Grid

LAZY = ("index", "labels", "_codes", "_lacks", "_missing", "settings")  # read when asked for, not sent along
Corner = Sequence[int] | np.ndarray


class Store:
    """A finished prepare run, for reading. Scans are named by ``scan_id`` or by position ``0 … len - 1``.

    Safe to pickle and to share between processes: nothing is kept open.
    """

    def __init__(self, path: Path) -> None:
        run = Run(path).require_job("prepare", "a prepared store")
        config, facts = run.config, run.provenance
        self.path = path
        self.spacing = float(config["spacing"])
        self.fingerprint = str(facts["preparation"])
        self.cohort_fingerprint = str(facts["cohort_fingerprint"])
        self.simulated = run.simulated
        self.contrasts = tuple(config.get("contrasts") or USUAL)
        self._folder = path / "scans"
        needed = ["scan_id", "px", "py", "pz", "affine", "has_seg", "dataset"]
        table = read_arrow(self._index_file, needed, remedy=REMEDY)
        self._ids = np.array(table["scan_id"].to_pylist(), dtype=np.bytes_)
        self._shapes = np.stack([table[c].to_numpy() for c in ("px", "py", "pz")], axis=1).astype(np.int16)
        affines = table["affine"].combine_chunks().flatten().to_numpy().reshape(-1, 4, 4)
        self._origins = affines[:, :3, 3].copy()  # the rest of each affine is spacing times the identity
        self._has_seg = table["has_seg"].to_numpy().astype(bool)
        del affines
        datasets, self._dataset = np.unique(np.array(table["dataset"].to_pylist()), return_inverse=True)
        self._datasets, self._dataset = datasets.tolist(), self._dataset.astype(np.int16)
        del table
        pa.default_memory_pool().release_unused()  # what decoding took goes back to the system, not into a reserve

    def __len__(self) -> int:
        return len(self._ids)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in LAZY}

    @property
    def channels(self) -> int:
        """Contrasts of a scan."""
        return len(self.contrasts)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """How its scans were prepared: what an exported model needs to prepare one more alike."""
        return scan_settings(PrepareConfig.build({k: v for k, v in Run(self.path).config.items() if k != "job"}))

    # tables ---------------------------------------------------------------------------------------------------

    @property
    def _index_file(self) -> Path:
        return index_file(self.path)

    @cached_property
    def index(self) -> pd.DataFrame:
        """One row a scan, sorted by ``scan_id``: the cohort's columns and what preparing added. A site that is not
        known is ``UNKNOWN``."""
        index = read_parquet(self._index_file, remedy=REMEDY)
        if "site" in index and index["site"].isna().any():
            index["site"] = index["site"].astype(object).where(index["site"].notna(), UNKNOWN)
        return index

    def columns(self, *names: str) -> pd.DataFrame:
        """Some columns of ``index``, read and not kept: a training needs one of thirty."""
        return read_parquet(self._index_file, names, remedy=REMEDY)

    @cached_property
    def labels(self) -> pd.DataFrame:
        """dataset, code, name, structure: what the codes of ``read_seg`` mean."""
        return read_parquet(self.path / "results" / "labels.parquet", remedy=REMEDY)

    @cached_property
    def content(self) -> str:
        """Fingerprint of all that can be read here: which scans, made from which files with which settings."""
        return store_content(self.path)

    @property
    def scan_ids(self) -> list[str]:
        return [s.decode() for s in self._ids]

    # one scan -------------------------------------------------------------------------------------------------

    def position(self, scan: str | int) -> int:
        """Row of a scan; raises KeyError-like WorkbenchError for one that is not here."""
        if not isinstance(scan, str):
            if not 0 <= scan < len(self):
                raise IndexError(f"scan {scan} of {len(self)}")
            return int(scan)
        key = scan.encode()
        i = int(np.searchsorted(self._ids, key))
        if i == len(self._ids) or self._ids[i] != key:
            raise WorkbenchError(
                f"{self.path}: has no scan '{scan}'",
                cause="not in the cohort, or set aside",
                remedy="see results/index.parquet and results/set_aside.parquet there",
            )
        return i

    def scan_id(self, scan: str | int) -> str:
        return self._ids[self.position(scan)].decode()

    def shape(self, scan: str | int) -> tuple[int, int, int]:
        x, y, z = self._shapes[self.position(scan)].tolist()
        return x, y, z

    def has_seg(self, scan: str | int) -> bool:
        return bool(self._has_seg[self.position(scan)])

    def grid(self, scan: str | int) -> Grid:
        """The prepared grid: RAS+, axis-aligned, isotropic."""
        affine = np.diag([self.spacing, self.spacing, self.spacing, 1.0])
        affine[:3, 3] = self._origins[self.position(scan)]
        return Grid(self.shape(scan), affine)

    def source_grid(self, scan: str | int) -> Grid:
        """The grid of the file the scan came from; reads the whole index, so not for the training loop."""
        row = self.index.iloc[self.position(scan)]
        x, y, z = (int(n) for n in row["source_shape"])
        return Grid((x, y, z), np.array(row["source_affine"], dtype=float).reshape(4, 4))

    def present(self, scan: str | int) -> np.ndarray:
        """Which of ``contrasts`` the scan has, bool ``(C,)``; what it has not is 0 everywhere."""
        missing = self._missing.get(self.position(scan), ())
        return np.array([name not in missing for name in self.contrasts])

    @cached_property
    def _missing(self) -> dict[int, tuple[str, ...]]:
        """By row, the contrasts that a scan has not."""
        if self.channels == 1:
            return {}
        column = read_arrow(self._index_file, ["channels_missing"], remedy=REMEDY)["channels_missing"].to_pylist()
        return {i: tuple(text.split("+")) for i, text in enumerate(column) if text}

    def codes(self, scan: str | int, structure: str) -> list[int]:
        """Label codes of a canonical structure ("left_hippocampus") in the scan's dataset; empty if it has none, or if
        the scan's own segmentation lacks it: there it is not background but not known."""
        dataset = self._datasets[self._dataset[self.position(scan)]]
        if structure in self._lacks.get(self.position(scan), ()):
            return []
        return self._codes.get((dataset, structure), [])

    @cached_property
    def _lacks(self) -> dict[int, frozenset[str]]:
        """By row, the structures that its segmentation lacks though others of its data set hold them."""
        if "seg_lacks" not in column_names(self._index_file):  # a store of an earlier version
            return {}
        column = read_arrow(self._index_file, ["seg_lacks"], remedy=REMEDY)["seg_lacks"].to_pylist()
        return {i: frozenset(text.split(";")) for i, text in enumerate(column) if text}

    @cached_property
    def _codes(self) -> dict[tuple[str, str], list[int]]:
        found: dict[tuple[str, str], list[int]] = {}
        for row in self.labels.itertuples():
            found.setdefault((str(row.dataset), str(row.structure)), []).append(int(row.code))
        return found

    def tissues(self, scan: str | int) -> np.ndarray:
        """Kind of each label code of the scan's dataset, ``(largest named code + 1,)`` int16: left and right of a
        structure are one kind, a code without a name is one of its own."""
        dataset = self._datasets[self._dataset[self.position(scan)]]
        if dataset not in self._kinds:
            rows = self.labels[self.labels["dataset"] == dataset]
            names = {
                int(r.code): str(r.structure).removeprefix("left_").removeprefix("right_") for r in rows.itertuples()
            }
            said = [names.get(code, f"code {code}") for code in range(max(names, default=0) + 1)]
            self._kinds[dataset] = np.unique(said, return_inverse=True)[1].astype(np.int16)
        return self._kinds[dataset]

    @cached_property
    def _kinds(self) -> dict[str, np.ndarray]:
        return {}

    # voxels ---------------------------------------------------------------------------------------------------

    def read(
        self, scan: str | int, low: Corner | None = None, high: Corner | None = None, *, channel: int = 0
    ) -> np.ndarray:
        """z-scored intensities of the crop ``[low, high)``, or of the whole scan, in one contrast.

        Args:
            scan: Which.
            low, high: Corners in voxels of the prepared grid. They may lie outside it: what is outside is 0.
            channel: Number of the contrast.

        Returns:
            float16 ``high - low``, an array of its own. 0 outside the brain, and nowhere else (of a further contrast
            also where its field of view does not reach, and everywhere where the scan has it not).
        """
        i = self.position(scan)
        return self._crop(scan_file(self._folder, self._ids[i].decode()), np.float16, i, low, high, channel)

    def read_channels(self, scan: str | int, low: Corner | None = None, high: Corner | None = None) -> np.ndarray:
        """`read` of every contrast, ``(C, *(high - low))``: what a model is given."""
        return np.stack([self.read(scan, low, high, channel=channel) for channel in range(self.channels)])

    def read_seg(self, scan: str | int, low: Corner | None = None, high: Corner | None = None) -> np.ndarray:
        """Label codes of the crop ``[low, high)`` as int16, 0 outside the scan; see ``codes`` for what they mean."""
        i = self.position(scan)
        if not self._has_seg[i]:
            raise WorkbenchError(
                f"{self.scan_id(i)}: has no segmentation",
                cause="the cohort gives none for this scan",
                remedy="choose scans with has_seg in results/index.parquet",
            )
        return self._crop(seg_file(self._folder, self._ids[i].decode()), np.int16, i, low, high)

    def read_brain(self, scan: str | int, low: Corner | None = None, high: Corner | None = None) -> np.ndarray:
        """The brain mask that the scan was prepared with, bool."""
        return self.read(scan, low, high) != 0

    def _crop(
        self, path: Path, dtype: type, i: int, low: Corner | None, high: Corner | None, channel: int | None = None
    ) -> np.ndarray:
        shape = self._shapes[i].astype(int)
        many = (self.channels,) if channel is not None and self.channels > 1 else ()
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise self._damaged(path, str(error)) from error
        wanted = (*many, *shape.tolist())
        if array.shape != wanted or array.dtype != dtype:
            raise self._damaged(path, f"it is {array.dtype} {array.shape}, the index says {np.dtype(dtype)} {wanted}")
        return crop(array[channel] if many else array, low, high)

    def _damaged(self, path: Path, cause: str) -> WorkbenchError:
        return WorkbenchError(
            f"{path}: the store is damaged",
            cause=cause.splitlines()[0][:200],
            remedy=REMEDY,
        )

    # what belongs together ------------------------------------------------------------------------------------

    def require_contrasts(self, contrasts: Sequence[str], who: str) -> None:
        """Refuse to go on if ``who`` (for example an encoder's path) takes other channels than the store has."""
        if tuple(contrasts) != self.contrasts:
            raise WorkbenchError(
                f"{who}: takes other contrasts than {self.path} has",
                cause=f"it takes {'+'.join(contrasts)}, the store has {'+'.join(self.contrasts)}",
                remedy="prepare those (cohort --contrast, prepare --contrasts), or make it again on this store",
            )

    def require_fingerprint(self, fingerprint: str, who: str) -> None:
        """Refuse to go on if ``who`` (for example an encoder's path) is bound to scans prepared otherwise."""
        if fingerprint != self.fingerprint:
            raise WorkbenchError(
                f"{who}: was made on scans prepared otherwise than {self.path}",
                cause=f"it needs preparation {fingerprint}, the store has {self.fingerprint} "
                f"({self.spacing:g} mm; the other settings are in its config.yaml)",
                remedy="prepare the cohort with the settings of the store it was made on (spacing, interpolation, "
                "mask, n4, clip_percentile), or make it again on this store",
            )


def crop(array: np.ndarray, low: Corner | None, high: Corner | None) -> np.ndarray:
    """The box ``[low, high)`` of ``(X, Y, Z)``, an array of its own; what is outside is 0, and None means the end."""
    shape = np.array(array.shape)
    a = np.zeros(3, int) if low is None else np.asarray(low, dtype=int)
    b = shape if high is None else np.asarray(high, dtype=int)
    inner_a, inner_b = np.clip(a, 0, shape), np.clip(b, 0, shape)
    x, y, z = (slice(p, q) for p, q in zip(inner_a, inner_b, strict=True))
    if (inner_a == a).all() and (inner_b == b).all():
        return np.array(array[x, y, z], order="C")
    out = np.zeros(tuple(np.maximum(b - a, 0)), array.dtype)
    if (inner_a < inner_b).all():
        u, v, w = (slice(p, q) for p, q in zip(inner_a - a, inner_b - a, strict=True))
        out[u, v, w] = array[x, y, z]
    return out


def open_store(path: str | Path) -> Store:
    """Open a prepared store.

    Raises:
        WorkbenchError: not a run folder, not of the job "prepare", or not finished.
    """
    return Store(Path(path))
