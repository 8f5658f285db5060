"""Quality control from the first screen to the exported table, with the keyboard; and a selection that stays."""

import shutil

import pandas as pd

from tests.ui.explorer_page import ExplorerPage


def test_scans_are_rated_by_key_and_the_table_is_exported(serve, runs, open_page, tmp_path):
    own = tmp_path / "runs"
    shutil.copytree(runs, own)
    page = ExplorerPage(open_page(f"{serve(own)}?view=check"))
    page.wait_ready()
    page.page.locator("text=/^.*0 of 12/").first.wait_for()
    first = page.case()
    for key, count in (("1", 1), ("3", 2), ("2", 3)):
        page.page.keyboard.press(key)
        page.page.locator(f"b:text-is('{count} of 12')").wait_for()
    assert page.case() != first
    with page.page.expect_download() as download:
        page.page.get_by_text("TSV", exact=True).click()
    download.value.save_as(tmp_path / "ratings.tsv")
    table = pd.read_csv(tmp_path / "ratings.tsv", sep="\t")
    assert list(table["rating"]) == ["pass", "fail", "doubtful"] and table["scan_id"].iloc[0] == first
    assert (own / "embed-ratings.tsv").read_text() == (tmp_path / "ratings.tsv").read_text()

    page.page.locator(".bk-btn-group").first.get_by_text("Cohort", exact=True).click()
    page.page.get_by_role("button", name="Saved", exact=True).click()
    page.page.get_by_placeholder("Name or tag").fill("motion")
    page.page.get_by_role("button", name="Add this scan").click()
    page.page.locator(".tabulator-row:visible:has-text('motion')").click()  # selects what carries the name
    page.page.locator("text=/^1 of n = 12 selected/").first.wait_for()
    saved = pd.read_csv(own / "embed-selections.tsv", sep="\t")
    assert saved["name"].tolist() == ["motion"] and saved["scan_id"].tolist() == [page.case()]
