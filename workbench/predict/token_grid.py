"""The patch tokens of one scan, and where they lie."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from workbench.errors import ScanError
from workbench.model.contract import AnyEncoder
from workbench.model.encode import padded_box, whole_scan
from workbench.predict.passes import enlarge
from workbench.predict.query import Query, per_patch, token_weights
from workbench.prepare.one import Scans
from workbench.volumes.volume import Triple

BRAIN = 0.25  # a token counts as brain when at least this share of its patch is


@dataclass(frozen=True)
class TokenGrid:
    """Tokens ``(P, D)`` in the order of the patch grid, their length 1, and the share of brain in each patch."""

    unit_PD: np.ndarray
    brain: np.ndarray
    grid_xyz: Triple
    low: np.ndarray  # corner of the padded box in voxels of the prepared grid
    patch: Triple

    @property
    def high(self) -> np.ndarray:
        """The other corner, one voxel behind the last."""
        return self.low + np.array(self.grid_xyz) * self.patch

    def centre(self, token: int | np.ndarray) -> np.ndarray:
        """Middle of a token's patch (or of several, ``(n, 3)``) in voxels of the prepared grid."""
        place = np.stack(np.unravel_index(token, self.grid_xyz), axis=-1)
        return (place + 0.5) * self.patch - 0.5 + self.low

    def voxels(self, values_P: np.ndarray, shape: Triple) -> np.ndarray:
        """A value a token → a value a voxel of the scan, float32."""
        whole = enlarge(torch.from_numpy(values_P.astype(np.float32)).view(1, *self.grid_xyz), self.patch, "nearest")
        return whole[0].numpy()[tuple(slice(-a, -a + n) for a, n in zip(self.low.tolist(), shape, strict=True))]


@torch.no_grad()
def token_grid(encoder: AnyEncoder, store: Scans, scan: str, block: int = -1, grids: int = 1) -> TokenGrid:
    """Patch tokens of a whole scan after a block; those of the last block are normed by the encoder's last layer.
    ``grids`` as of `patch_tokens`.
    """
    patch = encoder.config.patch_xyz
    volume = whole_scan(store, scan, patch)
    unit_PD, grid_xyz = patch_tokens(encoder, volume, block, grids)
    brain = per_patch(volume[0, 0].numpy() != 0, patch) / np.prod(patch)
    return TokenGrid(unit_PD, brain, grid_xyz, padded_box(store.shape(scan), patch)[0], patch)


@torch.no_grad()
def patch_tokens(
    encoder: AnyEncoder, volume_1CXYZ: torch.Tensor, block: int, grids: int = 1
) -> tuple[np.ndarray, Triple]:
    """Patch tokens of a volume after a block, each of length 1 ``(P, D)``, and their grid.

    With ``grids`` k the volume is read k³ times, its patch grid shifted by k-ths of a patch, and the token of a place
    is the mean over the grids less than a patch away, the nearer the heavier (1 less the distance in patches, axis by
    axis). Where a grid happens to cut a structure then matters less.
    """
    if grids == 1:
        unit_XYZD = _unit_tokens(encoder, volume_1CXYZ, block)
        return unit_XYZD.flatten(0, 2).numpy(), _shape_of(unit_XYZD)
    patch = encoder.config.patch_xyz
    around = functional.pad(volume_1CXYZ, [p for p in reversed(patch) for _ in range(2)])  # beyond a scan there is 0
    steps = [sorted({round(i * p / grids) for i in range(grids)}) for p in patch]
    total: torch.Tensor | float = 0.0
    for offset in itertools.product(*steps):
        part = around
        for axis, (start, size, p) in enumerate(zip(offset, volume_1CXYZ.shape[2:], patch, strict=True), 2):
            part = part.narrow(axis, start, size + p)
        tokens = _unit_tokens(encoder, part, block)
        for axis, (start, p) in enumerate(zip(offset, patch, strict=True)):  # begins a patch before the volume
            n, share = tokens.shape[axis] - 1, start / p
            tokens = (1 - share) * tokens.narrow(axis, 1, n) + share * tokens.narrow(axis, 0, n)
        total = total + tokens
    assert isinstance(total, torch.Tensor)
    mean = functional.normalize(total, dim=-1)
    return mean.flatten(0, 2).numpy(), _shape_of(mean)


def _unit_tokens(encoder: AnyEncoder, volume_1CXYZ: torch.Tensor, block: int) -> torch.Tensor:
    """Patch tokens after a block, each of length 1, ``(X, Y, Z, D)`` float32."""
    number = block % encoder.config.depth + 1
    last = number == encoder.config.depth
    tokens = encoder(volume_1CXYZ.to(next(encoder.parameters()).device), hidden=() if last else (number,))
    patches_PD = (tokens.patches_BPD if last else tokens.hidden[number])[0].float().cpu()
    return functional.normalize(patches_PD, dim=1).unflatten(0, tokens.grid_xyz)


def _shape_of(tokens_XYZD: torch.Tensor) -> Triple:
    x, y, z = tokens_XYZD.shape[:3]
    return x, y, z


def query_vector(grid: TokenGrid, query: Query, store: Scans, scan: str) -> np.ndarray:
    """The query's mean token, length 1, ``(D,)``."""
    weights, held = token_weights(query, store, scan, grid.low, grid.high, grid.patch, 0)
    vector = weights[1:] @ grid.unit_PD
    if not held or not (length := float(np.linalg.norm(vector))):
        raise ScanError(f"{scan}: has no place for {query}", remedy="choose another query")
    return vector / length
