"""2,000 damaged NIfTI files: each is read within bounds, or refused by name."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import nibabel as nib
import numpy as np

from tests.fuzz.harness import damaged, fuzz
from workbench.testing import phantom
from workbench.volumes import read_grid, read_volume

EXTREMES = [0, 1, -1, 2, 7, 16, 127, 255, 348, 352, 511, 512, 540, 1024, 32767, -32768, 2**31 - 1, -(2**31)]
REALS = [0.0, -1.0, 1e-30, 1e30, 3e38, float("nan"), float("inf"), -float("inf"), 351.5, 2.0**24, 2.0**31, 2.0**62]


def bases() -> list[bytes]:
    data = phantom("LAS", spacing=(6, 6, 6), shape=(9, 10, 8), noise=5)
    found = []
    for kind in (nib.Nifti1Image, nib.Nifti2Image):
        for dtype, order in ((np.uint8, "<"), (np.int16, ">"), (np.float32, "<"), (np.float64, ">")):
            header = kind.header_class(endianness=order)
            header.set_data_dtype(np.dtype(dtype).newbyteorder(order))
            image = kind((data.data / 2).astype(dtype), data.affine, header)
            if dtype == np.int16:
                image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"said " * 40))
            found.append(image.to_bytes())
    return found


BASES = bases()


def header_changed(rng: random.Random, content: bytes) -> bytes:
    """A field of the header, or several, set to what no scanner writes."""
    kind = nib.Nifti2Header if content[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c") else nib.Nifti1Header
    length = kind.template_dtype.itemsize
    header = kind(content[:length], check=False)
    for _ in range(rng.choice((1, 1, 2, 4))):
        name = rng.choice(list(header.keys()))
        field = header.structarr[name]
        if field.dtype.kind in "iu":
            value: object = rng.choice(EXTREMES)
        elif field.dtype.kind == "f":
            value = rng.choice(REALS)
        else:
            value = rng.randbytes(4)
        with np.errstate(all="ignore"):
            if field.shape:
                place = rng.randrange(len(field))
                field[place] = np.array(value).astype(field.dtype)
            else:
                header.structarr[name] = np.array(value).astype(field.dtype)
    return header.structarr.tobytes() + content[length:]


def attempt(rng: random.Random, folder: Path) -> str:
    content = rng.choice(BASES)
    if rng.random() < 0.7:
        content = header_changed(rng, content)
    if rng.random() < 0.3:
        content = damaged(rng, content)
    path = folder / ("scan.nii.gz" if rng.random() < 0.5 else "scan.nii")
    if path.suffix == ".gz":
        content = gzip.compress(content, 1)
        content = damaged(rng, content) if rng.random() < 0.3 else content
    path.write_bytes(content)
    grid = read_grid(path)
    assert min(grid.shape) >= 2 and np.isfinite(grid.affine).all()
    volume = read_volume(path, labels=rng.random() < 0.3)
    assert volume.data.shape == grid.shape and np.isfinite(volume.data).all()
    return "read"


def test_nifti(tmp_path: Path) -> None:
    fuzz("NIfTI", 2000, lambda rng: attempt(rng, tmp_path))
