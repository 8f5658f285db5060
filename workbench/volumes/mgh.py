"""The first bytes of FreeSurfer's .mgh and .mgz, judged as those of NIfTI are."""

from __future__ import annotations

import nibabel as nib
import numpy as np

from workbench.errors import ScanError
from workbench.volumes.header import MAX_VOXELS, Header, checked_shape
from workbench.volumes.volume import Grid

OFFSET = 284
TYPES = {0: ">u1", 1: ">i4", 3: ">f4", 4: ">i2", 10: ">u2"}


def parse_mgh(name: object, start: bytes, *, max_voxels: int = MAX_VOXELS) -> Header:
    """Shape, affine and voxel type of an unpacked file's first bytes.

    Raises:
        ScanError: not MGH, not 3D, too large, or no affine.
    """
    fields = np.frombuffer(start[:28], ">i4") if len(start) >= OFFSET else np.zeros(7, int)
    if fields[0] != 1 or int(fields[5]) not in TYPES:
        raise ScanError(
            f"{name}: not readable as MGH",
            cause="its first bytes are not those of an MGH header" if fields[0] != 1 else "an unknown voxel type",
            remedy="write it again with mri_convert, or convert it to .nii.gz",
        )
    dtype = np.dtype(TYPES[int(fields[5])])
    shape = tuple(int(n) for n in fields[1:5])
    x, y, z = checked_shape(name, shape, dtype, max_voxels)
    header = nib.freesurfer.mghformat.MGHHeader(start[:OFFSET], check=False)
    if int(header["goodRASFlag"]) != 1:
        raise ScanError(
            f"{name}: the affine is missing",
            cause="its goodRASFlag is not 1, so left and right are not known",
            remedy="set the direction cosines from the source of the scan",
        )
    affine = np.asarray(header.get_affine(), dtype=np.float64)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or not all(0.05 <= s <= 20 for s in spacing) or abs(np.linalg.det(affine)) < 1e-6:
        raise ScanError(
            f"{name}: the affine is singular",
            cause=f"a voxel is {' x '.join(f'{s:.3g}' for s in spacing)} mm",
            remedy="set the affine from the source of the scan",
        )
    return Header(Grid((x, y, z), affine), shape, dtype, OFFSET, 1.0, 0.0, footer=True)
