"""Writing NIfTI whole or not at all, with a sidecar that says what the numbers are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from workbench.volumes.volume import Volume


def write_volume(path: str | Path, volume: Volume, *, sidecar: dict[str, Any] | None = None) -> Path:
    """Write ``volume`` as NIfTI with its affine as sform (scanner space); optionally a ``.json`` beside it.

    The file is written under another name and renamed, so a reader never sees half of it. Label maps (any integer
    type) are stored as the smallest integer type that holds them; everything else as float32.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = volume.data
    if data.dtype.kind in "iub":
        low, high = int(data.min(initial=0)), int(data.max(initial=0))
        kinds = (np.uint8, np.int16, np.int32)
        kind = next((k for k in kinds if np.iinfo(k).min <= low and high <= np.iinfo(k).max), None)
        if kind is None:
            raise ValueError(f"{path}: labels from {low} to {high} do not fit NIfTI's int32")
        data = data.astype(kind)
    else:
        data = data.astype(np.float32)
    image = nib.Nifti1Image(data, volume.affine)
    image.set_sform(volume.affine, code=1)
    # a qform can hold rotations and zooms but no shear: written only where it says the same as the sform
    image.set_qform(volume.affine, code=1)
    if not np.allclose(image.get_qform(), volume.affine, atol=1e-3):
        image.set_qform(None, code=0)
    image.header.set_xyzt_units("mm")
    name = path.name
    partial = path.with_name(f".partial-{os.getpid()}-{name}")  # keeps the suffix that tells nibabel to compress
    try:
        nib.save(image, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    if sidecar is not None:
        stem = name.removesuffix(".gz").removesuffix(".nii")
        beside = path.with_name(f".partial-{os.getpid()}-{stem}.json")
        beside.write_text(json.dumps(sidecar, indent=2, default=str) + "\n")
        os.replace(beside, path.with_name(f"{stem}.json"))
    return path
