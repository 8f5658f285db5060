"""Pictures of a case, in the world."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from workbench.study.report.pictures import best_plane, case_picture, largest_error
from workbench.testing import phantom, phantom_labels
from workbench.volumes import Volume


@pytest.mark.parametrize(("axcodes", "oblique"), [("RAS", 0.0), ("PSR", 0.0), ("LPI", 12.0)])
def test_the_picture_goes_through_the_largest_error_in_the_world(axcodes, oblique):
    scan = phantom(axcodes, oblique=oblique)
    truth = phantom_labels(scan.grid)
    world = scan.grid.to_world(np.argwhere(truth.data >= 0))
    flat = (np.abs(world - [8, -4, 12]) < [8, 1.1, 8]).all(axis=1).reshape(truth.data.shape)  # a plate at y = −4 mm
    found = Volume(np.where(flat, 1, truth.data), truth.affine)
    plane, position = best_plane(largest_error(truth.data, found.data), truth.grid)
    assert plane == "coronal" and position == pytest.approx(-4, abs=2.1)
    picture = case_picture(scan, truth, {"one": found, "two": truth}, "one", {"one": "Dice 0.5"})
    data = base64.b64decode(re.search(r"base64,([^\"]+)", picture)[1])
    image = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    blue = (image[..., 2] > image[..., 0] + 60).sum(axis=0)
    yellow = (image[..., 0] > image[..., 2] + 90).sum(axis=0)
    half = image.shape[1] // 2
    assert blue[:half].any() and blue[half:].any()  # the truth in both panels
    assert yellow[:half].sum() > 1.2 * yellow[half:].sum()  # what was found beyond it only in the first


def test_nothing_found_where_nothing_is_makes_a_picture_too():
    scan = phantom()
    empty = Volume(np.zeros(scan.data.shape, int), scan.affine)
    assert case_picture(scan, empty, {"a": empty}, "a", {}).startswith("<img ")
