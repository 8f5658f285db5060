"""Principal components of patch tokens as colours, the same axes for every scan."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from workbench.engine.streams import Purpose, stream
from workbench.errors import WorkbenchError
from workbench.model.contract import AnyEncoder, patch_words
from workbench.predict.token_grid import BRAIN, TokenGrid, token_grid
from workbench.prepare.store import Store
from workbench.runs import replacing
from workbench.volumes import Volume

TOKENS_EACH = 500  # brain tokens of a reference scan that the axes are fitted on
ENDS = (1.0, 99.0)  # percentiles of a component that become 0 and full colour


@dataclass(frozen=True)
class Colours:
    """Axes fitted on the brain tokens of the reference scans."""

    mean: np.ndarray  # (D,)
    axes: np.ndarray  # (3, D)
    low: np.ndarray  # (3,)
    high: np.ndarray  # (3,)
    share: np.ndarray  # (3,) of the variance
    scans: list[str]

    @classmethod
    def fit(cls, encoder: AnyEncoder, store: Store, scans: list[str], block: int, seed: int, grids: int = 1) -> Colours:
        from sklearn.decomposition import PCA

        parts = []
        for number, scan in enumerate(scans):
            grid = token_grid(encoder, store, scan, block, grids)
            brain = np.flatnonzero(grid.brain >= BRAIN)
            if len(brain) > TOKENS_EACH:
                brain = stream(seed, Purpose.LOOKS, 3, number).choice(brain, TOKENS_EACH, replace=False)
            parts.append(grid.unit_PD[brain])
        tokens = np.concatenate(parts)
        if len(tokens) < 4:
            raise WorkbenchError(
                "too few tokens for colours",
                cause=f"{len(tokens)} patches of {len(scans)} scans hold brain to {BRAIN:.0%} or more; a token of "
                f"{encoder.config.name} stands for {patch_words(encoder.config)} prepared voxels",
                remedy="no --rgb, or an encoder with finer tokens; more --reference_scans where they are few",
            )
        pca = PCA(3, svd_solver="full").fit(tokens)  # svd_flip in it fixes the signs
        low, high = np.percentile(pca.transform(tokens), ENDS, axis=0)
        return cls(pca.mean_, pca.components_, low, high, pca.explained_variance_ratio_, scans)

    def of(self, grid: TokenGrid) -> np.ndarray:
        """Colour of each token, ``(P, 3)`` in 0 … 1."""
        value = (grid.unit_PD - self.mean) @ self.axes.T
        return np.clip((value - self.low) / np.maximum(self.high - self.low, 1e-12), 0, 1)

    def save(self, folder: Path) -> pd.DataFrame:
        """``colours.safetensors`` and ``.json``; the share of variance as a table."""
        folder.mkdir(exist_ok=True)
        arrays = {k: np.ascontiguousarray(getattr(self, k), np.float32) for k in ("mean", "axes", "low", "high")}
        with replacing(folder / "colours.safetensors") as partial:
            save_file(arrays, partial)
        with replacing(folder / "colours.json") as partial:
            facts = {"scans": self.scans, "tokens_each": TOKENS_EACH, "percentiles": ENDS}
            partial.write_text(json.dumps(facts) + "\n")
        return pd.DataFrame({"component": [1, 2, 3], "colour": ["red", "green", "blue"], "variance_share": self.share})


def write_rgb(path: Path, channels: list[Volume], *, sidecar: dict[str, Any]) -> Path:
    """Three maps in 0 … 1 on one grid as a NIfTI RGB24 volume, whole or not at all, with a sidecar."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.empty(channels[0].data.shape, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    for name, channel in zip("RGB", channels, strict=True):
        data[name] = np.rint(channel.data * 255).astype(np.uint8)
    image = nib.Nifti1Image(data, channels[0].affine)
    image.set_sform(channels[0].affine, code=1)
    image.header.set_xyzt_units("mm")
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        nib.save(image, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    stem = path.name.removesuffix(".gz").removesuffix(".nii")
    with replacing(path.with_name(f"{stem}.json")) as beside:
        beside.write_text(json.dumps(sidecar, indent=2, default=str) + "\n")
    return path


def read_rgb(path: Path) -> list[Volume]:
    """What ``write_rgb`` wrote: red, green and blue in 0 … 1, on the grid of the file.

    Raises:
        WorkbenchError: not such a file.
    """
    try:
        image = nib.load(path)
        data = np.asanyarray(image.dataobj)  # type: ignore[attr-defined]
        return [Volume(data[name].astype(np.float32) / 255, image.affine) for name in "RGB"]  # type: ignore[attr-defined]
    except (OSError, nib.filebasedimages.ImageFileError, IndexError, ValueError) as error:
        raise WorkbenchError(
            f"{path}: not a volume of colours", cause=str(error)[:200], remedy="give a *_rgb.nii.gz of a tokens run"
        ) from error
