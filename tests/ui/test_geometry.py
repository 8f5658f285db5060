"""A click at a known place gives the right millimetres, value and side, however the scan is stored."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from tests.explorer.fake_runs import write_fake_runs
from tests.ui.explorer_page import ExplorerPage
from workbench.testing import MARKER_MM, intensity, phantom, phantom_grid
from workbench.volumes import write_volume

STORED = {
    "fake_sub-00": ("RAS", 0),
    "fake_sub-01": ("LAS", 0),
    "fake_sub-02": ("PSR", 0),
    "fake_sub-03": ("LPI", 0),
    "fake_sub-04": ("RAS", 15),
}


@pytest.fixture(scope="module")
def geometry(serve, tmp_path_factory):
    """Runs whose scans are noise-free phantoms, and one whose qform tells lies with a higher code than the sform's."""
    root = tmp_path_factory.mktemp("geometry")
    runs = write_fake_runs(root, n=6)
    paths = pd.read_parquet(runs / "embed" / "results" / "scans.parquet").set_index("scan_id")["path"]
    for scan_id, (axcodes, oblique) in STORED.items():
        write_volume(paths[scan_id], phantom(axcodes, oblique=oblique))
    image = nib.load(paths["fake_sub-01"])
    wrong = image.affine.copy()
    wrong[:3, 3] += 30
    image = nib.Nifti1Image(np.asarray(image.dataobj), image.affine)
    image.set_sform(image.affine, code=1)
    image.set_qform(wrong, code=2)
    nib.save(image, paths["fake_sub-05"])
    return serve(runs)


@pytest.mark.parametrize("radiological", [True, False])
def test_click_on_the_marker(geometry, open_page, radiological):
    page = ExplorerPage(open_page(geometry))
    page.wait_ready()
    page.check("Attention")
    page.choose("View", "Axial")
    if not radiological:
        page.check("Radiological convention")
    convention = "radiological" if radiological else "neurological"
    page.page.wait_for_selector(f".volume-view:visible[data-convention='{convention}'][data-volumes='[\"base\"]']")
    places = page.points()
    for scan_id in [*STORED, "fake_sub-05"]:
        page.page.mouse.click(*places[scan_id])
        page.wait_case(scan_id)
        page.wait_ready(["base"])
        check_one(page, scan_id, radiological)


def check_one(page, scan_id, radiological):
    page.window(0, 500)
    oblique = STORED.get(scan_id, ("", 0))[1]
    in_plane = phantom_grid(oblique=oblique).affine[:3, :3] @ [12, -8, 0]
    page.move_to(MARKER_MM + in_plane)  # the marker's slice, the crosshair elsewhere in it
    picture = page.picture().max(axis=2)
    spots, count = ndimage.label(ndimage.binary_opening(picture > 150, iterations=5))  # letters are thinner than that
    assert count == 1, f"{scan_id}: one bright spot, the marker"
    row, column = ndimage.center_of_mass(spots > 0)
    tissue = np.nonzero(ndimage.binary_opening((picture > 25) & (picture < 110), iterations=9))[1]
    on_the_right = bool(column > tissue.mean())
    assert on_the_right == radiological, f"{scan_id}: the marker is in the LEFT half of the head"

    box = page.canvas()
    page.page.mouse.click(box["x"] + column, box["y"] + row)
    page.page.wait_for_timeout(400)
    # half a voxel in the slice, half the phantom's voxel grid in the marker's own outline; more where slices are turned
    tolerance = 3.5 if oblique else 2.1
    assert np.abs(page.mm() - MARKER_MM).max() < tolerance, f"{scan_id}: {page.mm()} is not {MARKER_MM}"
    assert float(page.data()["value"]) == pytest.approx(400), scan_id
    assert "left" in page.view.locator(".readout span").first.get_attribute("title")

    # anywhere else the value is that of the head at the place that is told, up to half a voxel's slope
    page.move_to([9.0, -7.0, 5.0])
    assert float(page.data()["value"]) == pytest.approx(float(intensity(page.mm())), abs=1.7), scan_id
