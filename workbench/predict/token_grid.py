"""The patch tokens of one scan, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

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
def token_grid(encoder: AnyEncoder, store: Scans, scan: str, block: int = -1) -> TokenGrid:
    """Patch tokens of a whole scan after a block; those of the last block are normed by the encoder's last layer."""
    patch = encoder.config.patch_xyz
    volume = whole_scan(store, scan, patch)
    unit_PD, grid_xyz = patch_tokens(encoder, volume, block)
    brain = per_patch(volume[0, 0].numpy() != 0, patch) / np.prod(patch)
    return TokenGrid(unit_PD, brain, grid_xyz, padded_box(store.shape(scan), patch)[0], patch)


@torch.no_grad()
def patch_tokens(encoder: AnyEncoder, volume_11XYZ: torch.Tensor, block: int) -> tuple[np.ndarray, Triple]:
    """Patch tokens of a volume after a block, each of length 1 ``(P, D)``, and their grid."""
    number = block % encoder.config.depth + 1
    last = number == encoder.config.depth
    tokens = encoder(volume_11XYZ.to(next(encoder.parameters()).device), hidden=() if last else (number,))
    patches_PD = (tokens.patches_BPD if last else tokens.hidden[number])[0].float().cpu().numpy()
    return patches_PD / np.maximum(np.linalg.norm(patches_PD, axis=1, keepdims=True), 1e-12), tokens.grid_xyz


def query_vector(grid: TokenGrid, query: Query, store: Scans, scan: str) -> np.ndarray:
    """The query's mean token, length 1, ``(D,)``."""
    weights, held = token_weights(query, store, scan, grid.low, grid.high, grid.patch, 0)
    vector = weights[1:] @ grid.unit_PD
    if not held or not (length := float(np.linalg.norm(vector))):
        raise ScanError(f"{scan}: has no place for {query}", remedy="choose another query")
    return vector / length
