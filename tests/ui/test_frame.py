"""The frame of the page: what stays in place, how much of it is brain, keys, the way back, and a lost connection."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from tests.ui.explorer_page import ExplorerPage
from workbench.explorer.app.tour import STEPS

FIRST = ["base", "attention"]
TABS = ("Cohort", "Scan", "Comparison", "Sites", "Check", "What if", "Your scan", "Cohort")

# the figure of the page, and of which of the boxes around it a part of it sticks out
CUT = """() => {
  const figure = [...Bokeh.documents[0].all_models].find(m => m.type === "Figure" && Bokeh.index.find_one(m))
  const own = Bokeh.index.find_one(figure).el, box = own.getBoundingClientRect(), cut = []
  for (let e = own; e; e = e.assignedSlot ?? e.parentElement ?? e.getRootNode().host) {
    const around = e.getBoundingClientRect(), clips = getComputedStyle(e).overflow !== "visible"
    if (clips && (box.bottom > around.bottom + 1 || box.right > around.right + 1)) cut.push(e.className)
  }
  return { height: box.height, cut: cut.join(" ") }
}"""


@pytest.fixture(scope="module")
def page(new_page, server):
    """One page for all tests of this file; each leaves it on the scan page."""
    opened = new_page()
    opened.goto(f"{server}?view=scan")
    yield ExplorerPage(opened)
    opened.close()


def tab(page, name):
    page.page.locator(".bk-btn-group").first.get_by_text(name, exact=True).first.click()


def test_the_brain_fills_the_canvas(page):
    page.wait_ready(FIRST)
    picture = page.picture()
    assert (picture.max(axis=2) > 25).mean() > 0.35  # the phantom's head and its letters; air is black
    tiles = json.loads(page.data()["tiles"])
    assert len({round(t[0]) for t in tiles.values()}) == len(tiles)  # side by side where it is wide


def test_opening_every_tab_does_not_make_the_page_grow(page):
    page.wait_ready(FIRST)
    for name in TABS:
        tab(page, name)
        page.page.wait_for_timeout(1500)
        size = page.page.evaluate("() => [document.querySelector('#main').scrollHeight, innerHeight]")
        assert size[0] <= size[1], f"after {name}: {size}"
    tab(page, "Scan")


def test_a_saved_picture_names_its_scan_and_holds_the_colours_of_its_legend(page, tmp_path):
    page.wait_ready(FIRST)
    with page.page.expect_download() as download:
        page.view.locator(".save").click()
    assert page.data()["scan"] in download.value.suggested_filename
    download.value.save_as(tmp_path / "scan.png")
    picture = np.asarray(Image.open(io.BytesIO((tmp_path / "scan.png").read_bytes())).convert("RGB")).astype(int)
    legend = picture[-110:]
    assert ((legend[..., 0] - legend[..., 1] > 80) & (legend[..., 2] < 200)).sum() > 200  # the ramp of the attention
    assert (picture.max(axis=2) < 20).mean() < 0.6


def test_back_goes_back_within_the_explorer(page):
    page.wait_ready(FIRST)
    first = page.case()
    page.page.get_by_role("button", name="Next ›").click()
    page.page.wait_for_function("id => !location.search.includes(id + '&') && !location.search.endsWith(id)", arg=first)
    page.page.go_back()
    page.wait_case(first)
    assert "explorer" in page.page.url


def test_back_takes_the_case_under_other_runs_away_again(server, open_page):
    page = ExplorerPage(open_page(f"{server}?view=scan&case=fake_sub-02"))
    page.wait_ready(FIRST)
    page.choose("This case under other runs (up to 3)", "attend-random")
    page.page.locator(".volume-view:visible").nth(1).and_(page.page.locator("[data-state='ready']")).wait_for()
    page.page.wait_for_function("() => location.search.includes('runs_beside')")
    page.page.go_back()
    page.page.locator(".volume-view:visible").nth(1).wait_for(state="detached")
    page.wait_ready(FIRST)
    assert page.case() == "fake_sub-02" and "runs_beside" not in page.page.url


def test_a_tour_of_three_steps_frames_what_it_speaks_of_and_goes_by_escape(at):
    page = at("view=check", shown=None).page
    page.get_by_role("button", name="Tour").click()
    dialog = page.locator(".tour[role=dialog]")
    for number, (_, where, title, _) in enumerate(STEPS, 1):
        dialog.get_by_text(f"{number} of {len(STEPS)}").wait_for()
        assert dialog.get_attribute("aria-label") == title
        framed = (
            page.locator("#header") if where.startswith("#") else page.locator(f"h2:text-matches('^{where}')").first
        )
        framed.wait_for()  # the page that has it was opened
        page.wait_for_function(
            """el => { const a = el.getBoundingClientRect(), b = [...document.querySelectorAll("body > div")]
              .find(e => e.style.boxShadow.includes("100vmax")).getBoundingClientRect()
              return b.width > 0 && a.left >= b.left - 4 && a.top >= b.top - 4 && a.bottom <= b.bottom + 4 }""",
            arg=framed.element_handle(),
        )
        if number < len(STEPS):
            dialog.get_by_role("button", name="Next").click()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")


@pytest.mark.parametrize("view", ["cohort", "comparison"])
def test_a_plot_is_whole_on_a_low_screen(server, new_page, view):
    opened = new_page(1280, 720)
    opened.goto(f"{server}?view={view}&part=all")
    ExplorerPage(opened).wait_ready(FIRST)
    cut = opened.evaluate(CUT)
    rows = opened.locator(".tabulator-tableholder:visible").first.evaluate("e => e.clientHeight")
    buttons = [opened.get_by_role("button", name=name, exact=True) for name in ("Dark", "Tour", "Save page")]
    if view == "cohort":
        buttons.append(opened.get_by_role("button", name="Report", exact=True))
    ends = [box["x"] + box["width"] for box in (button.bounding_box() for button in buttons)]
    limits = [1280] * 3 + [opened.locator("h2:has-text('Scan')").bounding_box()["x"]]
    opened.close()
    assert all(end <= limit for end, limit in zip(ends, limits, strict=False)), ends
    assert cut["height"] > 140 and not cut["cut"], cut
    assert rows > 70, "a table of which fewer than three rows can be seen is none; the column may scroll to it"


def test_a_lost_connection_is_told_and_a_reload_keeps_the_place(start_server, runs, new_page):
    address, process = start_server(folder=runs)
    opened = new_page(1280, 720)
    opened.goto(f"{address}?view=scan&case=fake_sub-03")
    ExplorerPage(opened).wait_ready(FIRST)
    process.kill()
    bar = opened.locator(".connection-lost")
    bar.wait_for()
    assert "does not answer" in bar.inner_text() and "case=fake_sub-03" in opened.url
    opened.close()
