import base64
import io

import numpy as np
import pytest
from PIL import Image

from workbench.explorer.cohort.pictures import changed, middle_slice, picture
from workbench.volumes import Volume, write_volume


@pytest.mark.parametrize(("plane", "size"), [("axial", (40, 48)), ("coronal", (40, 36)), ("sagittal", (48, 36))])
def test_a_picture_knows_its_millimetres(tmp_path, plane, size):
    """A scan of 2 × 2 × 3.6 mm: its 10 slices are 36 mm high, whatever their number."""
    data = np.random.default_rng(0).random((20, 24, 10)).astype(np.float32)
    path = tmp_path / "scan.nii.gz"
    write_volume(path, Volume(data, np.diag([2.0, 2.0, 3.6, 1.0])))
    shown, (across, up) = middle_slice(tmp_path / "no-store", path, "scan", plane)
    assert (shown.shape[0] * across, shown.shape[1] * up) == pytest.approx(size)
    source, told = picture(tmp_path / "no-store", path, "scan", plane, True, changed(path))
    assert told == pytest.approx(size)
    assert Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))).size == shown.shape


def test_a_scan_that_cannot_be_read_has_no_picture(tmp_path):
    assert picture(tmp_path, tmp_path / "none.nii.gz", "none", "axial", True, 0) == ("", (0.0, 0.0))
