"""Where the brain is in a whole head: the network of deepbet (Fisch et al., arXiv 2308.07003; MIT), from its own wheel.

Of the package only its two weight files are used. They are TorchScript, which is a program: files of other content than
that of the version named here are refused. What is done before and after is deepbet's own (version 1.0.2): a first
network finds the brain's box in 128³ voxels, a second one the brain in 256³ of it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from workbench.errors import ConfigError, ScanError
from workbench.extras import is_there, require
from workbench.volumes import Volume, canonical
from workbench.volumes.regrid import regrid

VERSION = "deepbet 1.0.2"
DIGESTS = {  # SHA-256
    "bbox_model.pt": "39a7b2b5f799faa1391ea97bfcdc0b9299f20d84f2316a4ff8918dc4685e40aa",
    "model.pt": "de8ee7c69654d0dd3935dc4a5d84571d8ecf4637a6bfc01df399c4c2bc86e0fd",
}
COARSE, FINE = (128, 128, 128), (256, 256, 256)
ROOM = 0.1  # around the box, as a share of its edges, at each side
HELD = 0.02  # of a plane must be brain to count for the box
BRAIN_ML = (250.0, 2200.0)  # of a newborn's to the largest; what is found outside of this is no brain


def is_installed() -> bool:
    return is_there("deepbet")


def brain_of_head(scan: Volume) -> Volume:
    """The brain in a scan of a whole head, bool, on the scan's grid.

    Raises:
        ConfigError: the extra is not installed, or its weights are not those of the version named here.
        ScanError: no brain is found.
    """
    require("deepbet", extra="brain", instead="use --mask head")
    upright = canonical(scan)
    mask = Volume(_brain(upright.data.astype(np.float32)), upright.affine)
    found = float(mask.data.sum()) * mask.grid.voxel_ml
    if not BRAIN_ML[0] <= found <= BRAIN_ML[1]:
        raise ScanError(
            "no brain found",
            cause=f"{VERSION} finds {found:.0f} ml of it",
            remedy="look at the scan: is it a whole head, upright by its header? or give a mask, or use --mask head",
        )
    back = regrid(Volume(mask.data.astype(np.uint8), mask.affine), scan.grid, order=0)  # the same voxels, turned
    return Volume(back.data > 0, scan.affine)


def _brain(head: np.ndarray) -> np.ndarray:
    """bool ``(X, Y, Z)`` of a head whose axes run to the right, the front and the top."""
    import torch
    import torch.nn.functional as F

    find_box, find_brain = (_network(name) for name in DIGESTS)
    volume = torch.from_numpy(np.ascontiguousarray(head))

    def scaled(x: Any, size: tuple[int, ...]) -> Any:
        return F.interpolate(x[None, None], size, mode="nearest-exact")[0, 0]

    with torch.inference_mode():
        small = scaled(volume, COARSE)
        low, high = small.quantile(0.005), small.quantile(0.995)

        def levelled(x: Any) -> Any:
            x = ((x - low) / (high - low)).clamp(0, 1)
            return (0.226 * (x - x.mean()) / x.std() + 0.449)[None, None]

        box = _box(_largest((find_box(levelled(small))[0, 1] > 0.5).numpy()), head.shape)
        inside = volume[box]
        share = find_brain(levelled(scaled(inside, FINE)))[0, 1]
        found = scaled(share, tuple(inside.shape)) > 0.5
    out = np.zeros(head.shape, bool)
    out[box] = scipy.ndimage.binary_fill_holes(_largest(found.numpy()))
    return out


def _largest(mask: np.ndarray) -> np.ndarray:
    parts, n = scipy.ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if not n:
        raise ScanError("no brain found", cause=f"{VERSION} finds none", remedy="give a mask, or use --mask head")
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    largest: np.ndarray = parts == sizes.argmax()
    return largest


def _box(coarse: np.ndarray, shape: tuple[int, ...]) -> tuple[slice, ...]:
    out = []
    for axis, n in enumerate(shape):
        other = tuple(a for a in range(3) if a != axis)
        planes = np.flatnonzero(coarse.mean(axis=other) > HELD)
        if not planes.size:
            raise ScanError("no brain found", cause=f"{VERSION} finds hardly any", remedy="give a mask")
        step = n / coarse.shape[axis]
        centre, size = step * (planes[-1] + 1 + planes[0]) / 2, step * (planes[-1] + 1 - planes[0]) * (1 + 2 * ROOM)
        centre, size = round(centre), round(size)
        out.append(slice(max(0, int(centre - size / 2)), min(n, int(centre + size / 2))))
    return tuple(out)


@functools.cache
def _network(name: str) -> Any:
    import torch

    spec = importlib.util.find_spec("deepbet")
    assert spec is not None and spec.origin is not None
    path = Path(spec.origin).parents[1] / "data" / "models" / name
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != DIGESTS[name]:
        raise ConfigError(
            f"{path}: not the weights of {VERSION}",
            cause="a TorchScript file is a program, and this one is not the one that was looked at",
            remedy="pip install 'deepbet==1.0.2', or use --mask head",
        )
    import io

    return torch.jit.load(io.BytesIO(content), map_location="cpu").eval()
