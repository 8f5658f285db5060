"""The scan page with real mouse and keyboard: overlays, windows, linked scans, flicker, and a scan of one's own."""

import json
import re

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from tests.explorer.fake_runs import write_fake_runs
from tests.ui.explorer_page import ExplorerPage
from workbench.testing import MARKER_MM, phantom, phantom_labels
from workbench.volumes import write_volume

FIRST = ["base", "attention"]  # the first screen: the scan and one overlay
ALL = ["base", "attention", "prediction", "truth"]


@pytest.fixture
def explorer(at):
    return at("view=scan&case=fake_sub-00", shown=FIRST)


def bare(explorer):
    explorer.check("Attention")
    explorer.wait_ready(["base"])


def coloured(picture, colour, opacity=0.7, grey=100):
    """Pixels of a half-transparent colour over grey tissue; letters and crosshair are white and bright green."""
    mixed = opacity * np.array(colour) + (1 - opacity) * grey
    return int((np.abs(picture - mixed).max(axis=2) < 45).sum())


def test_errors_outlines_and_random_weights_are_where_they_must_be(explorer):
    explorer.check("Predicted")
    explorer.check("True")
    explorer.wait_ready(ALL)
    labels = phantom_labels(phantom("RAS").grid)
    explorer.move_to(labels.grid.to_world(np.argwhere(labels.data == 2).mean(axis=0)))  # the larger one
    filled = explorer.picture()
    explorer.check("Errors")  # takes the two fills away
    explorer.wait_ready(["base", "attention", "error"])
    explorer.check("Attention")
    explorer.wait_ready(["base", "error"])
    errors = explorer.picture()
    for colour in ((110, 200, 140), (230, 97, 0), (60, 110, 230)):  # the prediction is the truth moved by one voxel
        assert coloured(errors, colour) > 30, colour
    ml = [float(v) for v in re.findall(r"(?:correct|too much|missed) ([\d.]+) ml", explorer.view.inner_text())]
    truth = (labels.data > 0).sum() * 8 / 1000
    assert ml[0] + ml[2] == pytest.approx(truth, abs=0.02) and ml[1] == pytest.approx(ml[2], abs=0.01)

    explorer.check("Errors")
    explorer.check("Compare")
    explorer.check("Attention")
    explorer.wait_ready(["base", "attention", "beside"])
    explorer.check("Flicker between the two")
    explorer.page.wait_for_selector(
        ".volume-view:visible[data-flicker='attention'], .volume-view:visible[data-flicker='beside']"
    )
    explorer.view.evaluate("e => e.niftiView.pause()")  # a busy machine takes a picture slower than it flickers
    pictures = []
    for _ in range(2):
        explorer.view.evaluate("e => e.niftiView.turn()")
        explorer.page.wait_for_timeout(300)
        pictures.append(explorer.picture())
    assert (np.abs(pictures[0] - pictures[1]).max(axis=2) > 60).sum() > 50
    explorer.check("Flicker between the two")
    explorer.page.wait_for_selector(".volume-view:visible[data-flicker='']")

    explorer.check("Attention")
    explorer.check("Compare")
    explorer.check("True")
    explorer.check("Predicted")
    explorer.wait_ready(["base", "prediction", "truth"])
    explorer.check("Predictions as outlines too")
    explorer.page.wait_for_timeout(1500)
    counts = [(np.abs(p[..., 0] - p[..., 2]) > 60).sum() for p in (filled, explorer.picture())]
    assert 20 < counts[1] < 0.9 * counts[0]


def test_the_window_by_number_by_mouse_and_reset_and_the_mosaic(explorer):
    bare(explorer)
    explorer.settings()
    automatic = json.loads(explorer.data()["window"])
    for label, value in (("Black at", "90"), ("White at", "400")):
        field = explorer.page.locator(f".bk-input-group:has(label:text('{label}')) input").first
        field.fill(value)
        field.press("Enter")
    explorer.page.wait_for_selector(".volume-view:visible[data-window='[90,400]']")
    dark = explorer.picture()
    x, y = explorer.in_tile("axial", 0.5, 0.25)
    explorer.page.mouse.move(x, y)
    explorer.page.mouse.down(button="right")
    for k in range(1, 9):
        explorer.page.mouse.move(x + 4 * k, y - 6 * k)
    explorer.page.mouse.up(button="right")
    explorer.page.wait_for_timeout(1000)
    dragged = json.loads(explorer.data()["window"])
    assert dragged != [90, 400] and (np.abs(explorer.picture() - dark) > 3).sum() > 500
    field = explorer.page.locator(".bk-input-group:has(label:text('White at')) input").first
    assert float(field.input_value()) == pytest.approx(dragged[1], rel=1e-3)  # the numbers follow the mouse
    explorer.page.get_by_role("button", name="Reset window").click()
    explorer.page.wait_for_timeout(800)
    assert json.loads(explorer.data()["window"]) == pytest.approx(automatic)

    # a mosaic marks the sides of every slice
    before = explorer.picture()
    explorer.choose("View", "Mosaic of axial slices")
    explorer.page.wait_for_timeout(1200)
    mosaic = explorer.picture()
    letters = mosaic.min(axis=2) > 230
    assert (np.abs(mosaic - before).max(axis=2) > 40).sum() > 2000
    assert ndimage.label(ndimage.binary_dilation(letters, iterations=2))[1] >= 24  # R, L, A, P of twelve slices


def test_crosshairs_of_two_scans_are_linked_in_world_millimetres_without_the_server(explorer):
    bare(explorer)
    explorer.choose("Compare with (up to 3 scans)", "fake_sub-05")  # stored in another orientation
    views = explorer.page.locator(".volume-view:visible")
    other = views.nth(1)
    other.and_(explorer.page.locator("[data-state='ready'][data-linked='true']")).wait_for()
    explorer.page.wait_for_timeout(400)
    sent = []
    explorer.page.on("request", lambda r: sent.append(r.url))
    boxes = [v.locator("canvas").bounding_box() for v in (views.nth(0), other)]
    assert abs(boxes[0]["width"] - boxes[1]["width"]) < 4 and boxes[1]["x"] > boxes[0]["x"] + 100
    views.nth(0).evaluate("(e, mm) => e.niftiView.moveTo(mm)", [float(v) for v in MARKER_MM])
    explorer.page.wait_for_timeout(300)
    first, second = (json.loads(v.get_attribute("data-mm")) for v in (views.nth(0), other))
    assert np.abs(np.array(first) - MARKER_MM).max() < 1.1 and np.abs(np.array(second) - first).max() < 2.1
    assert float(other.get_attribute("data-value")) == pytest.approx(400, abs=15)  # the marker there too
    explorer.page.mouse.click(boxes[1]["x"] + 0.25 * boxes[1]["width"], boxes[1]["y"] + 0.7 * boxes[1]["height"])
    explorer.page.wait_for_timeout(400)
    first, second = (json.loads(v.get_attribute("data-mm")) for v in (views.nth(0), other))
    assert np.abs(np.array(second) - MARKER_MM).max() > 3 and np.abs(np.array(second) - first).max() < 2.1
    explorer.check("Crosshairs linked")
    other.and_(explorer.page.locator("[data-linked='false']")).wait_for()
    views.nth(0).evaluate("e => e.niftiView.moveTo([0, 0, 0])")
    explorer.page.wait_for_timeout(300)
    assert json.loads(other.get_attribute("data-mm")) == second  # free
    explorer.page.get_by_role("button", name="Compare with none").click()
    explorer.page.wait_for_timeout(1000)
    assert not sent


def test_crosshairs_are_linked_by_the_share_of_the_brains_box(boxed, open_page):
    explorer = ExplorerPage(open_page(f"{boxed}?case=fake_sub-00&scans_beside=fake_sub-01"))
    views = explorer.page.locator(".volume-view:visible")
    views.nth(1).and_(explorer.page.locator("[data-linked='true']")).wait_for()
    explorer.choose("Linked by", "The same share of the brain's box")
    explorer.page.wait_for_timeout(1500)
    for way in ((0, 1), (1, 0)):
        place = np.array([-9.0, 7.0, 5.0]) if way == (0, 1) else np.array([14.0, -6.0, 8.0])
        views.nth(way[0]).evaluate("(e, mm) => e.niftiView.moveTo(mm)", place.tolist())
        explorer.page.wait_for_timeout(300)
        here, there = (np.array(json.loads(views.nth(k).get_attribute("data-mm"))) for k in way)
        # the box of the second brain is half as large and 4 mm further right: half a voxel of either grid
        expected = here / 2 + [4, 0, 0] if way == (0, 1) else (here - [4, 0, 0]) * 2
        assert np.abs(there - expected).max() < (1.1 if way == (0, 1) else 2.1), (here, there)


def test_the_same_case_under_two_runs(server, open_page):
    explorer = ExplorerPage(open_page(f"{server}?view=scan&case=fake_sub-02"))
    explorer.wait_ready(FIRST)
    explorer.choose("This case under other runs (up to 3)", "attend-random")
    other = explorer.page.locator(".volume-view:visible").nth(1)
    other.and_(explorer.page.locator("[data-state='ready'][data-scan='fake_sub-02']")).wait_for()
    assert json.loads(other.get_attribute("data-volumes")) == FIRST
    assert "attend-random" in other.inner_text() and "runs_beside=attend-random" in explorer.page.url
    explorer.page.reload()
    other.and_(explorer.page.locator("[data-state='ready'][data-scan='fake_sub-02']")).wait_for()


@pytest.fixture(scope="module")
def boxed(serve, tmp_path_factory):
    """Runs that know the boxes of their brains: that of the second scan is half as large, and elsewhere."""
    runs = write_fake_runs(tmp_path_factory.mktemp("boxed"), n=4)
    table = runs / "embed" / "results" / "scans.parquet"
    scans = pd.read_parquet(table)
    grids = [np.diag([1.0, 1, 1, 1]), np.array([[0.5, 0, 0, 4], [0, 0.5, 0, 0], [0, 0, 0.5, 0], [0, 0, 0, 1.0]])]
    for grid in grids:
        grid[:3, 3] -= grid[:3, :3] @ [23.5, 27.5, 19.5]  # the box's middle is at 0, 0, 0, and at 4, 0, 0
    scans["affine"] = [list(grids[k % 2].ravel()) for k in range(len(scans))]
    scans["px"], scans["py"], scans["pz"] = 48, 56, 40
    scans.to_parquet(table)
    return serve(runs)


def test_ones_own_scan_good_damaged_and_too_large(server, open_page, tmp_path):
    page = open_page(server)
    ExplorerPage(page).wait_ready(FIRST)
    page.get_by_text("Your scan", exact=True).first.click()
    chooser = page.locator("input[type=file]")
    said = page.locator(".own-file p")
    write_volume(tmp_path / "good.nii.gz", phantom("LPI"))
    damaged = tmp_path / "damaged.nii.gz"
    damaged.write_bytes((tmp_path / "good.nii.gz").read_bytes()[:-300])
    chooser.set_input_files(damaged)
    said.filter(has_text="truncated or damaged").wait_for()
    assert "remedy" in said.inner_text()
    large = nib.Nifti1Image(np.zeros((2, 1100, 2), np.uint8), np.eye(4))
    nib.save(large, tmp_path / "large.nii")
    chooser.set_input_files(tmp_path / "large.nii")
    said.filter(has_text="too large").wait_for()
    assert page.locator(".volume-view:visible[data-state='ready']").count() == 0
    chooser.set_input_files(tmp_path / "good.nii.gz")
    said.filter(has_text="26 × 30 × 24 voxels, read").wait_for()
    own = page.locator(".volume-view:visible[data-state='ready']")
    own.wait_for()
    own.evaluate("(e, mm) => e.niftiView.moveTo(mm)", [float(v) for v in MARKER_MM])
    assert float(own.get_attribute("data-value")) == pytest.approx(400)
    page.locator("text=not at hand").wait_for()  # the fake runs have no encoder: shown, not placed, and said so

    # and what a page says that has nothing to show
    page.get_by_text("What if", exact=True).first.click()
    page.locator("text=No what-if run yet").wait_for()
    page.get_by_role("button", name="Compute for this scan").click()
    page.locator("text=Move a slider first").wait_for()
