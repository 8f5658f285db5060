"""One slice as a picture: upright, square in mm, the right side where it is said, colours where the labels are."""

import numpy as np
import pytest

from workbench import plots
from workbench.testing import MARKER_MM, phantom, phantom_labels
from workbench.volumes import Volume

RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.mark.parametrize("axcodes", ["RAS", "LPI", "PSR"])
def test_the_marker_is_on_its_side_however_the_scan_is_stored(axcodes):
    scan = phantom(axcodes, spacing=(2, 2, 4), shape=(26, 30, 12))
    marker = Volume((scan.data > 300).astype(int), scan.affine), {1: RED}
    sides = {}
    for radiological in (True, False):
        picture = plots.strip_picture(scan, marker, at=MARKER_MM, radiological=radiological)
        red = picture[..., 0] - picture[..., 1] > 0.5
        sides[radiological] = np.argwhere(red).mean(axis=0) / red.shape
    right = MARKER_MM[0] > 0
    assert (sides[False][1] > 0.5) == right and (sides[True][1] < 0.5) == right
    assert (sides[True][0] < 0.5) == (MARKER_MM[1] > 0)  # anterior is up
    coronal = plots.strip_picture(scan, at=MARKER_MM, plane="coronal")
    head = np.argwhere(phantom("RAS", spacing=(1, 1, 1), shape=(52, 60, 48)).data > 10)
    assert abs(coronal.shape[0] - np.ptp(head[:, 2])) < 6  # mm, whatever the spacing


def test_a_fill_mixes_with_the_scan_and_an_outline_is_a_border(axcodes="LAS"):
    scan = phantom(axcodes)
    labels = phantom_labels(scan.grid)
    at = plots.densest_point(labels, [2])
    bare = plots.strip_picture(scan, at=at)
    filled = plots.strip_picture(scan, (labels, {2: RED}), at=at)
    both = plots.strip_picture(scan, (labels, {2: RED}), (labels, {2: BLUE}), at=at)
    fill, border = ((a != b).any(axis=-1) for a, b in ((bare, filled), (filled, both)))
    assert 0 < border.sum() < fill.sum() and not (border & ~fill).any()
    assert (both[border] == np.array(BLUE) / 255).all()
    assert (plots.strip_picture(scan, (labels, {7: RED}), at=at) == bare).all()
