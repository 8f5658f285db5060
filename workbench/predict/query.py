"""Who looks: a query named in words, and its weights over the tokens of a box of a scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from workbench.errors import ConfigError, ScanError
from workbench.prepare.one import Scans
from workbench.volumes.volume import Triple

FORMS = "cls, register:1, voxel:-24,-18,-14 (world mm, RAS+), region:left_hippocampus"


@dataclass(frozen=True)
class Query:
    """CLS, one register (from 1), the token of a voxel at world mm (RAS+), or the mean over a region's voxels."""

    kind: Literal["cls", "register", "voxel", "region"]
    register: int = 0
    mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    region: str = ""

    def __str__(self) -> str:
        what = {
            "cls": "",
            "register": f":{self.register}",
            "voxel": ":" + ",".join(f"{v:g}" for v in self.mm),
            "region": f":{self.region}",
        }[self.kind]
        return f"{'CLS' if self.kind == 'cls' else self.kind}{what}"


def parse_query(text: str) -> Query:
    """Raises:
    ConfigError: not one of the forms.
    """
    kind, _, rest = text.strip().partition(":")
    try:
        if kind.lower() == "cls" and not rest:
            return Query("cls")
        if kind == "register" and int(rest) >= 1:
            return Query("register", register=int(rest))
        if kind == "voxel":
            x, y, z = (float(v) for v in rest.split(","))
            if np.isfinite([x, y, z]).all():
                return Query("voxel", mm=(x, y, z))
        if kind == "region" and rest:
            return Query("region", region=rest)
    except ValueError:
        pass
    raise ConfigError(f"query '{text[:80]}': not understood", remedy=f"write one of: {FORMS}")


def voxel_of(store: Scans, scan: str, query: Query) -> np.ndarray:
    """The prepared voxel ``(3,)`` in which a world position lies.

    Raises:
        ScanError: it lies outside this scan's box.
    """
    voxel = np.rint(store.grid(scan).to_voxel(np.array(query.mm))).astype(int)
    if (voxel < 0).any() or (voxel >= store.shape(scan)).any():
        raise ScanError(
            f"{scan}: has nothing at {query.mm} mm",
            cause="outside the box of its brain",
            remedy="world coordinates are the scan's own; look one up in the explorer",
        )
    return voxel


def region_mask(
    store: Scans, scan: str, structure: str, low: np.ndarray | None = None, high: np.ndarray | None = None
) -> np.ndarray:
    """Voxels of a structure by its canonical name, bool, in the box ``[low, high)``.

    Raises:
        WorkbenchError: the scan has no segmentation, or none of this structure.
    """
    codes = store.codes(scan, structure)
    seg = store.read_seg(scan, low, high)
    if not codes:
        raise ScanError(
            f"{scan}: its labels have no '{structure}'",
            remedy="results/labels.parquet of the store lists the structures",
        )
    return np.isin(seg, codes)


def token_weights(
    query: Query, store: Scans, scan: str, low: np.ndarray, high: np.ndarray, patch: Triple, registers: int
) -> tuple[np.ndarray, float]:
    """The query's weights over the tokens of the box ``[low, high)``, ``(N,)`` with sum 1, and which share of the
    query lies in the box (1 for CLS and registers; where it is 0, the weights are 0 too).

    A region is the mean over its voxels of their tokens: a token counts by the voxels of the region in its patch.
    """
    grid = (high - low) // np.array(patch)
    weights = np.zeros(1 + registers + int(grid.prod()), np.float32)
    if query.kind == "cls":
        weights[0] = 1
        return weights, 1.0
    if query.kind == "register":
        if query.register > registers:
            raise ConfigError(f"register {query.register}: the encoder has {registers}", remedy="choose another query")
        weights[query.register] = 1
        return weights, 1.0
    if query.kind == "voxel":
        voxel = voxel_of(store, scan, query)
        if (voxel < low).any() or (voxel >= high).any():
            return weights, 0.0
        weights[1 + registers + np.ravel_multi_index(tuple((voxel - low) // patch), tuple(grid))] = 1
        return weights, 1.0
    whole = int(region_mask(store, scan, query.region).sum())
    if not whole:
        raise ScanError(f"{scan}: '{query.region}' is empty", remedy="look at its segmentation")
    counts = per_patch(region_mask(store, scan, query.region, low, high), patch)
    inside = float(counts.sum())
    if inside:
        weights[1 + registers :] = counts / inside
    return weights, inside / whole


def per_patch(voxels: np.ndarray, patch: Triple) -> np.ndarray:
    """Sum of voxels in each patch of a box, ``(P,)`` float64, in the order of the tokens."""
    (p, q, r), (x, y, z) = patch, voxels.shape
    return voxels.reshape(x // p, p, y // q, q, z // r, r).sum(axis=(1, 3, 5), dtype=np.float64).ravel()
