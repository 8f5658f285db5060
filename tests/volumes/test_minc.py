"""MINC of version 1, written by scipy as the format's guide says; of version 2 the sentence where h5py is missing."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from scipy.io import netcdf_file

from workbench.errors import ScanError
from workbench.testing import MARKER_MM, phantom
from workbench.volumes import read_grid, read_volume
from workbench.volumes.header import MAX_AXIS


def write_minc(path, data, spacing, start):
    """``data (X, Y, Z)`` as a MINC file stores it: z first, 16 bits, each plane scaled by itself."""
    planes = np.asarray(data, float).transpose(2, 1, 0)
    low, high = planes.min(axis=(1, 2)), planes.max(axis=(1, 2)) + 1e-3
    stored = np.rint((planes - low[:, None, None]) / (high - low)[:, None, None] * 65535 - 32768)
    with netcdf_file(path, "w") as file:
        for number, name in ((2, "zspace"), (1, "yspace"), (0, "xspace")):
            file.createDimension(name, data.shape[number])
            axis = file.createVariable(name, "i", ())
            axis.spacing, axis.step, axis.start = b"regular__", float(spacing[number]), float(start[number])
        image = file.createVariable("image", "h", ("zspace", "yspace", "xspace"))
        image.signtype, image.valid_range = b"signed__", np.array([-32768.0, 32767.0])
        image[:] = stored.astype(np.int16)
        for name, values in (("image-min", low), ("image-max", high)):
            file.createVariable(name, "d", ("zspace",))[:] = values
    return path


def test_places_and_values_are_those_of_the_head(tmp_path):
    scan = phantom()
    path = write_minc(tmp_path / "a.mnc", scan.data, scan.spacing, scan.affine[:3, 3])
    read = read_volume(path)
    assert read.grid.axcodes in ("SAR", "SAL", "SPR") or read.grid.axcodes[0] == "S"  # z is stored first
    brightest = read.grid.to_world(np.argwhere(read.data > 350)).mean(axis=0)
    assert np.allclose(brightest, MARKER_MM, atol=1.0) and read_grid(path).shape == read.data.shape
    where = read.grid.to_voxel(scan.grid.to_world(np.argwhere(scan.data > 0))).round().astype(int)
    assert np.allclose(read.data[tuple(where.T)], scan.data[scan.data > 0], atol=0.01)


def test_labels_are_whole_numbers(tmp_path):
    labels = (phantom().data > 0).astype(int) * 2
    path = write_minc(tmp_path / "l.mnc", labels, (2, 2, 2), (0, 0, 0))
    with pytest.raises(ScanError, match="whole numbers"):  # 16 bits between 0 and 2.001 hold no 2
        read_volume(write_minc(tmp_path / "f.mnc", labels * 0.7, (2, 2, 2), (0, 0, 0)), labels=True)
    assert set(np.unique(read_volume(path, labels=True).data)) == {0, 2}


def test_what_is_no_minc_is_said(tmp_path):
    path = tmp_path / "a.mnc"
    with pytest.raises(ScanError, match="no such file"):
        read_volume(path)
    path.write_bytes(b"")
    with pytest.raises(ScanError, match="empty"):
        read_volume(path)
    path.write_bytes(b"not a scan at all")
    with pytest.raises(ScanError, match="neither NetCDF nor HDF5"):
        read_grid(path)
    good = write_minc(tmp_path / "good.mnc", phantom().data, (2, 2, 2), (0, 0, 0)).read_bytes()
    for cut in (40, 400, len(good) // 2):
        path.write_bytes(good[:cut])
        with pytest.raises(ScanError, match=r"MINC|does not fit"):
            read_volume(path)
    write_minc(path, np.arange(4.0 * (MAX_AXIS + 1)).reshape(2, 2, -1), (1, 1, 1), (0, 0, 0))
    with pytest.raises(ScanError, match="too large"):
        read_volume(path)


@pytest.mark.skipif(importlib.util.find_spec("h5py") is not None, reason="h5py is installed here")
def test_version_2_names_what_it_needs(tmp_path):
    (tmp_path / "a.mnc").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 100)
    with pytest.raises(ScanError) as refused:
        read_volume(tmp_path / "a.mnc")
    assert "h5py" in str(refused.value) and "mnc2nii" in str(refused.value)
