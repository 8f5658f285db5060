"""The explorer as a user meets it."""

import re

import numpy as np
import pandas as pd
import pytest

from tests.explorer.fake_runs import write_fake_runs
from tests.ui.explorer_page import ExplorerPage
from workbench.testing import MARKER_MM

FIRST = ["base", "attention"]  # the first screen: the scan and one overlay
ALL = ["base", "attention", "prediction", "truth"]


@pytest.fixture
def explorer(at):
    return at(shown=FIRST)


def test_a_click_on_a_point_selects_the_case_everywhere(explorer):
    assert explorer.case() == "fake_sub-00"
    before = explorer.picture()
    x, y = explorer.points()["fake_sub-05"]
    explorer.page.mouse.click(x, y)
    explorer.wait_case("fake_sub-05")
    explorer.wait_rows(1)
    explorer.wait_ready(FIRST)
    assert explorer.rows() == ["fake/sub-05"]
    assert np.abs(explorer.picture() - before).max() > 50
    explorer.page.get_by_role("button", name="Facts", exact=True).click()
    explorer.page.locator("dd:text-is('fake/sub-05')").wait_for()


def test_the_scan_of_a_point_is_a_picture_in_millimetres_while_the_mouse_is_over_it(explorer):
    scan, (x, y) = sorted(explorer.points().items())[3]
    explorer.page.mouse.move(x, y)
    picture = explorer.page.locator(f".hover-picture[data-scan='{scan}']:visible")
    picture.wait_for()
    told = picture.inner_text()
    wide, high = (int(n) for n in re.search(r"(\d+) × (\d+) mm", told).groups())
    size = picture.locator("img").evaluate("e => [e.width, e.height, e.naturalWidth]")
    assert size[0] / size[1] == pytest.approx(wide / high, rel=0.05) and size[2] > 8
    assert told.split()[0] == "R" and "L" in told  # the patient's right is on the left, as in the viewer
    explorer.page.mouse.move(5, 5)
    picture.wait_for(state="hidden")


def test_a_lasso_takes_the_planted_cluster_and_a_row_the_case(explorer):
    points = explorer.points()
    north = {scan_id: p for scan_id, p in points.items() if int(scan_id[-2:]) % 2 == 0}
    (left, top), (right, bottom) = np.min(list(north.values()), axis=0) - 12, np.max(list(north.values()), axis=0) + 12
    explorer.lasso([(left, top), (right, top), (right, bottom), (left, bottom)], takes=len(north))
    last = max(north).replace("_", "/")
    explorer.page.locator(f".tabulator-cell:text-is('{last}')").wait_for()  # the rows come after their number
    assert explorer.rows() == sorted(f"fake/{scan_id.split('_')[1]}" for scan_id in north)
    explorer.page.locator(".tabulator-cell:text-is('fake/sub-04')").click()
    explorer.wait_case("fake_sub-04")
    explorer.wait_ready(FIRST)
    explorer.wait_rows(len(north))  # the lasso stays
    explorer.page.get_by_role("button", name="Show all").click()
    explorer.wait_rows(len(points))


def test_a_row_found_by_sorting_is_the_row_that_is_shown(server, open_page):
    explorer = ExplorerPage(open_page(server))
    explorer.wait_ready(FIRST)
    header = explorer.page.locator(".tabulator-col[tabulator-field='age'] .tabulator-col-title")
    header.click()
    explorer.page.wait_for_timeout(500)
    header.click()  # oldest first
    explorer.page.wait_for_timeout(1000)
    participant = explorer.rows()[1]
    explorer.page.locator(f".tabulator-cell:text-is('{participant}')").click()
    explorer.wait_case(participant.replace("/", "_"))


def test_overlays_change_the_picture_where_they_are_and_send_nothing_else(explorer):
    explorer.check("Predicted")
    explorer.check("True")
    explorer.wait_ready(ALL)
    explorer.move_to(MARKER_MM)  # where the attention is; the sagittal plane there holds a hippocampus too
    with_all = explorer.picture()
    explorer.check("Attention")
    explorer.wait_ready(["base", "prediction", "truth"])
    without_attention = explorer.picture()
    assert 20 < (np.abs(with_all - without_attention).max(axis=2) > 40).sum() < 0.3 * with_all[..., 0].size
    explorer.check("True")
    explorer.check("Predicted")
    explorer.wait_ready(["base"])
    bare = explorer.picture()
    # the scan alone has no colour (the crosshair is green); the last rows hold the word SIMULATED, in yellow
    colored = [(np.abs(p[:-40, :, 0] - p[:-40, :, 2]) > 60).sum() for p in (without_attention, bare)]
    assert colored[0] > 50 and colored[1] == 0
    explorer.check("Attention")
    explorer.wait_ready(["base", "attention"])
    assert (np.abs(explorer.picture() - bare).max(axis=2) > 40).sum() > 20


def test_the_convention_turns_the_picture_and_is_said(explorer):
    explorer.settings()  # the viewer makes room for them
    explorer.page.wait_for_timeout(400)
    radiological = explorer.picture()
    assert "left is on the right" in explorer.view.inner_text()
    explorer.check("Radiological convention")
    explorer.page.wait_for_selector(".volume-view:visible[data-state='ready'][data-convention='neurological']")
    explorer.page.wait_for_timeout(400)
    assert "left is on the left" in explorer.view.inner_text()
    assert np.abs(explorer.picture() - radiological).max() > 60


def test_simulated_and_not_for_diagnosis_are_said(explorer):
    assert explorer.page.locator("text=SIMULATED DATA").count() >= 2
    assert explorer.page.locator("text=Not for diagnosis").is_visible()


def test_a_scan_without_overlays_says_so(explorer):
    x, y = explorer.points()["fake_sub-11"]
    explorer.page.mouse.click(x, y)
    explorer.wait_case("fake_sub-11")
    explorer.wait_ready(["base"])
    for title, text in (
        ("Attention", "has no map of this scan"),
        ("True", "no segmentation"),
        ("Predicted", "did not segment"),
    ):
        chip = explorer.page.locator(f".chips button.none:text-is('{title}')")
        assert text in chip.get_attribute("title")


def test_html_in_the_data_stays_text(serve, open_page, tmp_path):
    evil = "<img src=x onerror=window.pwned=1>"
    runs = write_fake_runs(tmp_path, n=4)
    table = runs / "embed" / "results" / "scans.parquet"
    pd.read_parquet(table).assign(site=evil, diagnosis=evil, participant=evil, **{evil: evil}).to_parquet(table)
    page = ExplorerPage(open_page(serve(runs)))
    page.wait_ready(FIRST)
    page.page.mouse.move(*page.points()["fake_sub-02"])
    page.page.wait_for_timeout(1000)
    assert page.page.evaluate("window.pwned === undefined")
    assert page.page.locator("img[src=x]").count() == 0


def test_an_empty_folder_says_what_to_do(start_server, open_page, tmp_path):
    page = open_page(start_server(WORKBENCH_RUNS=str(tmp_path))[0])
    page.locator("text=No embedding yet").wait_for()
    page.locator("text=workbench embed --store").wait_for()
    ExplorerPage(page).wait_ready(state="empty")
