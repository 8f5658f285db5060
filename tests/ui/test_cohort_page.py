"""Selection, address, keys and comparison, with a real mouse and keyboard."""

import numpy as np
import pytest

from tests.ui.explorer_page import ExplorerPage

FIRST = ["base", "attention"]  # the first screen: the scan and one overlay


def around(places):
    (left, top), (right, bottom) = np.min(places, axis=0) - 12, np.max(places, axis=0) + 12
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


@pytest.fixture
def explorer(server, open_page):
    page = ExplorerPage(open_page(server))
    page.wait_ready(FIRST)
    return page


def test_a_planted_cluster_is_in_table_pictures_and_viewer_and_survives_a_reload(at):
    explorer = at(shown=FIRST)
    page = explorer.page
    south = {scan_id: p for scan_id, p in explorer.points().items() if int(scan_id[-2:]) % 2}
    explorer.lasso(around(list(south.values())), takes=len(south))
    assert explorer.rows() == sorted(f"fake/{scan_id.split('_')[1]}" for scan_id in south)
    assert explorer.case() in south
    page.get_by_role("button", name="Pictures", exact=True).click()
    page.locator(".gallery button img").nth(len(south) - 1).wait_for()
    ids = page.locator(".gallery button").evaluate_all("all => all.map(e => e.dataset.id)")
    assert sorted(ids) == sorted(south)
    whole = "all => all.map(e => [e.textContent, e.scrollWidth <= e.clientWidth])"
    ends = page.locator(".gallery .line:first-of-type .end").evaluate_all(whole)
    assert sorted(ends) == sorted([f"fake/{scan_id.split('_')[1]}"[-9:], True] for scan_id in south)

    page.locator(f".gallery button[data-id={ids[3]}]").click()  # a picture is a way to the case
    explorer.wait_case(ids[3])
    page.keyboard.press("n")  # and the next one is of the selection
    explorer.wait_case(ids[4])
    explorer.wait_ready()
    page.keyboard.press("o")
    explorer.wait_ready(["base"])
    page.wait_for_function("() => location.search.includes('show_attention=0')")

    page.reload()
    explorer.wait_case(ids[4])
    explorer.wait_ready(["base"])
    page.locator(f".gallery button[data-id={ids[4]}][aria-current=true]").wait_for()
    assert sorted(page.locator(".gallery button").evaluate_all("all => all.map(e => e.dataset.id)")) == sorted(south)


def test_the_keys_leave_fields_of_text_alone(explorer):
    explorer.page.locator(".tabulator-header-filter input").first.click()
    explorer.page.keyboard.type("nnn")
    explorer.page.wait_for_timeout(800)
    assert explorer.case() == "fake_sub-00"


def test_a_click_on_a_score_is_its_case(server, open_page):
    page = ExplorerPage(open_page(f"{server}?view=comparison&part=all&case=../../etc/passwd"))
    page.page.locator("text=which is not to be had here").wait_for()
    page.wait_ready(FIRST)
    places = page.points()
    page.page.mouse.click(*places["fake_sub-07"])
    page.wait_case("fake_sub-07")
    page.wait_ready()
    worst = page.rows()[0]
    assert worst == "fake/sub-10"  # the last with a score: each has a lower one than the one before
    page.page.locator(f".tabulator-cell:text-is('{worst}')").click()
    page.wait_case("fake_sub-10")


def test_a_selection_of_the_table_is_seen_in_the_plot(explorer):
    page = explorer.page
    chosen = """n => {
      const figures = [...Bokeh.documents[0].all_models].filter(m => m.type === "Figure" && Bokeh.index.find_one(m))
      const source = figures.flatMap(f => f.renderers).map(r => r.data_source).find(s => s && s.data.scan_id)
      const ids = source.selected.indices.map(i => source.data.scan_id[i])
      return ids.length === n && ids }"""
    page.locator(".tabulator-col[tabulator-field='site'] input").fill("South")
    page.keyboard.press("Enter")
    page.locator(".tabulator-cell[tabulator-field='site']:text-is('North')").first.wait_for(state="detached")
    page.get_by_role("button", name="Select filtered").click()
    explorer.wait_rows(6)
    assert all(int(scan_id[-2:]) % 2 for scan_id in page.wait_for_function(chosen, arg=6).json_value())
    page.get_by_role("button", name="Show all").click()
    page.wait_for_function("n => (" + chosen + ")(n) && true", arg=0)
