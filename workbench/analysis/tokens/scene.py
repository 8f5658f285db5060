"""A scan in memory with its structures, as it is or turned and cut, and its tokens on shifted patch grids."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from workbench.engine.views import crop_by_grid
from workbench.model.contract import AnyEncoder
from workbench.predict.passes import Reading, boxes
from workbench.predict.query import per_patch, region_mask
from workbench.predict.token_grid import BRAIN, patch_tokens
from workbench.prepare.store import Store

KEPT = 0.7  # of each edge that a disturbed scan keeps: a third of its volume
TRIES = 50  # places of the cut, until it holds the middle of every structure


@dataclass(frozen=True)
class Scene:
    """Prepared intensities ``(X, Y, Z)`` float32, 0 outside the brain, and where its structures are, bool masks of the
    same shape; ``spacing`` is the edge of a voxel in mm."""

    volume: np.ndarray
    masks: dict[str, np.ndarray]
    spacing: float
    further: tuple[np.ndarray, ...] = ()
    """Of several contrasts those after ``volume``, of the same shape."""


@dataclass(frozen=True)
class TokenSet:
    """Tokens of a scene from all shifted grids: ``unit_PD`` of length 1, share of brain ``(P,)``, middle of each patch
    in voxels ``(P, 3)``, and how many voxels of each structure lie in it ``(P,)``."""

    unit_PD: np.ndarray
    brain: np.ndarray
    centres: np.ndarray
    counts: dict[str, np.ndarray]

    def standardised(self) -> TokenSet:
        """Each channel less its mean over the brain's tokens and divided by its deviation there, then of length 1."""
        brain_BD = self.unit_PD[self.brain >= BRAIN]
        if len(brain_BD) < 2:
            return self
        scaled_PD = (self.unit_PD - brain_BD.mean(0)) / np.maximum(brain_BD.std(0), 1e-6)
        lengths = np.linalg.norm(scaled_PD, axis=1, keepdims=True)
        return replace(self, unit_PD=(scaled_PD / np.maximum(lengths, 1e-6)).astype(np.float32))


def scene_of(store: Store, scan: str, structures: tuple[str, ...]) -> Scene:
    """The scan as it was prepared, with those of the structures that its labels have."""
    there = [s for s in structures if store.codes(scan, s)]
    first, *others = store.read_channels(scan).astype(np.float32)
    return Scene(first, {s: region_mask(store, scan, s) for s in there}, store.spacing, tuple(others))


def disturbed(scene: Scene, rng: np.random.Generator, degrees: float) -> Scene:
    """The scene turned by ``degrees`` about a random axis, shifted, and cut to `KEPT` of each edge, so that the place
    in the box no longer tells what is there. The cut holds the middle of every structure, where there is such a cut.

    Intensities are interpolated linearly, structures take the nearest voxel.
    """
    shape = np.array(scene.volume.shape)
    x, y, z = (int(n) for n in np.maximum(np.round(shape * KEPT), 2))
    size = (x, y, z)
    axis = rng.standard_normal(3)
    turn = Rotation.from_rotvec(np.radians(degrees) * axis / np.linalg.norm(axis)).as_matrix()
    middles = [np.argwhere(mask).mean(0) for mask in scene.masks.values() if mask.any()]
    middle_of_cut = (np.array(size) - 1) / 2
    for _ in range(TRIES):
        centre = (shape - 1) / 2 + rng.uniform(-0.5, 0.5, 3) * (shape - size)
        offset = centre - turn @ middle_of_cut
        places = [turn.T @ (middle - offset) for middle in middles]
        if all(((p >= 0) & (p <= np.array(size) - 1)).all() for p in places):
            break
    matrix = torch.from_numpy(np.concatenate([turn, offset[:, None]], axis=1))[None]

    def cut(array: np.ndarray, mode: str) -> np.ndarray:
        box = torch.from_numpy(array.astype(np.float32))[None, None]
        return crop_by_grid(box, matrix, size, mode=mode)[0, 0].numpy()

    masks = {name: cut(mask, "nearest") > 0.5 for name, mask in scene.masks.items()}
    others = tuple(cut(volume, "bilinear") for volume in scene.further)
    return Scene(cut(scene.volume, "bilinear"), masks, scene.spacing, others)


@torch.no_grad()
def token_set(encoder: AnyEncoder, scene: Scene, block: int, shifts: int, grids: int = 1) -> TokenSet:
    """Tokens of the whole scene after a block, from ``shifts`` patch grids along each axis, each a fraction of a patch
    further; each token the mean over ``grids`` about it, see `patch_tokens`."""
    patch = encoder.config.patch_xyz
    parts = []
    for low, high in boxes(scene.volume.shape, patch, patch, Reading(shifts=shifts)):
        volume = _box(scene.volume, low, high)
        channels = np.stack([volume, *(_box(other, low, high) for other in scene.further)])
        unit_PD, grid = patch_tokens(encoder, torch.from_numpy(channels)[None], block, grids)
        places = np.stack(np.unravel_index(np.arange(len(unit_PD)), grid), axis=-1)
        centres = (places + 0.5) * patch - 0.5 + low
        counts = {name: per_patch(_box(mask, low, high), patch) for name, mask in scene.masks.items()}
        parts.append(TokenSet(unit_PD, per_patch(volume != 0, patch) / np.prod(patch), centres, counts))
    return TokenSet(
        np.concatenate([p.unit_PD for p in parts]),
        np.concatenate([p.brain for p in parts]),
        np.concatenate([p.centres for p in parts]),
        {name: np.concatenate([p.counts[name] for p in parts]) for name in scene.masks},
    )


def _box(array: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The box ``[low, high)``; what lies outside the array is 0."""
    a, b = np.maximum(low, 0), np.minimum(high, array.shape)
    out = np.zeros(tuple(high - low), array.dtype)
    inner = tuple(slice(p, q) for p, q in zip(a - low, b - low, strict=True))
    out[inner] = array[tuple(slice(p, q) for p, q in zip(a, b, strict=True))]
    return out
