"""A scan with more voxels than a browser without a GPU draws in time, such as the one of these tests."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.explorer.fake_runs import write_fake_runs
from tests.ui.explorer_page import ExplorerPage
from workbench.testing import MARKER_MM, phantom
from workbench.volumes import write_volume

FINE = {"spacing": (0.3, 0.3, 0.3), "shape": (173, 200, 160)}  # 5.5 million voxels


@pytest.fixture(scope="module")
def large(serve, tmp_path_factory):
    runs = write_fake_runs(tmp_path_factory.mktemp("large"), n=4)
    paths = pd.read_parquet(runs / "embed" / "results" / "scans.parquet").set_index("scan_id")["path"]
    for scan_id, axcodes in (("fake_sub-00", "LPI"), ("fake_sub-01", "PSR")):
        write_volume(paths[scan_id], phantom(axcodes, **FINE))
    return serve(runs)


# the planes as they are painted here, and as NiiVue's own shaders paint them: share of the bytes that differ by more
# than rounding, the mean difference, and the share of the picture that has a colour
PAINTED = """view => {
  const { nv } = view.niftiView, { gl } = nv, own = nv.refreshLayers, pixels = () => {
    nv.updateGLVolume()
    const out = new Uint8Array(4 * gl.canvas.width * gl.canvas.height)
    gl.readPixels(0, 0, gl.canvas.width, gl.canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, out)
    return out }
  const ours = pixels()
  delete nv.refreshLayers
  const theirs = pixels()
  nv.refreshLayers = own
  let off = 0, sum = 0, coloured = 0
  for (let i = 0; i < ours.length; i++) { const d = Math.abs(ours[i] - theirs[i]); sum += d; off += d > 3 }
  for (let i = 0; i < ours.length; i += 4) coloured += Math.abs(theirs[i] - theirs[i + 1]) > 20
  return [off / ours.length, sum / ours.length, 4 * coloured / ours.length] }"""


def test_every_second_voxel_first_with_true_places_and_values_and_all_on_demand(large, open_page):
    page = ExplorerPage(open_page(f"{large}?show_prediction=1&show_truth=1"))
    shapes = []
    for key in (None, "n"):
        if key:
            page.page.wait_for_selector(".volume-view:visible[data-ahead='4']")  # made ready, and then only named
            page.page.keyboard.press(key)
            page.page.wait_for_selector(".volume-view:visible[data-scan='fake_sub-01']")
        page.wait_ready(["base", "attention", "prediction", "truth"])
        off, mean, coloured = page.view.evaluate(PAINTED)
        assert off < 0.002 and mean < 0.2 and coloured > 0.02
        assert "every 2nd voxel" in page.view.inner_text()
        shapes.append(page.view.evaluate("e => [...e.niftiView.loaded.base.image.hdr.dims].slice(1, 4)"))
        page.move_to(MARKER_MM)
        assert np.abs(page.mm() - MARKER_MM).max() <= 0.31 and float(page.data()["value"]) == pytest.approx(400)
        assert "left" in page.view.locator(".readout span").first.get_attribute("title")
    assert sorted(shapes[0]) == sorted(shapes[1]) == [80, 87, 100]
    page.check("Every voxel (slow without a GPU)")
    page.page.locator(".volume-view:visible .legend:not(:has-text('every 2nd voxel'))").wait_for()
    page.wait_ready(["base", "attention", "prediction", "truth"])
    assert sorted(page.view.evaluate("e => [...e.niftiView.loaded.base.image.hdr.dims].slice(1, 4)")) == [160, 173, 200]
    page.move_to(MARKER_MM)
    assert np.abs(page.mm() - MARKER_MM).max() <= 0.16 and float(page.data()["value"]) == pytest.approx(400)
    assert json.loads(page.data()["volumes"]) == ["base", "attention", "prediction", "truth"]
