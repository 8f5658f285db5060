"""The page of groups as a visitor meets it."""

import json

import numpy as np

from tests.explorer.group.made import PEAK, write_group_run
from tests.ui.explorer_page import ExplorerPage


def test_two_groups_are_chosen_and_the_difference_lies_on_the_left(serve, open_page, tmp_path):
    write_group_run(tmp_path / "group", attend=tmp_path / "attend")
    page = open_page(f"{serve(tmp_path)}?view=group&group_layout=multiplanar")
    explorer = ExplorerPage(page)
    explorer.wait_ready(["base", "attention"])
    page.locator("text=/North: n = 8 people, 9 scans/").wait_for()
    page.locator(".bk-input-group:has(label:text-is('Group')) select").select_option("South")
    page.locator(".bk-input-group:has(label:text-is('minus')) select").select_option("North")
    page.locator("text=/South − North .site. differs in 12 of 1,000 ml/").wait_for()
    page.locator("text=/no sex holds both/").wait_for()
    page.locator(".legend b:text-is('Higher in South ')").wait_for()
    explorer.wait_ready(["base", "attention"])
    before = explorer.picture()
    explorer.move_to(PEAK)
    assert np.abs(explorer.mm() - PEAK).max() < 6
    assert "20.0 left" in page.locator(".readout span").first.get_attribute("title")
    assert json.loads(explorer.data()["volumes"]) == ["base", "attention"]
    assert np.abs(explorer.picture() - before).max() > 50
    page.wait_for_function("() => location.search.includes('group_b=North')")
