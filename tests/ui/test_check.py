"""Quality control from the first screen to the exported table, with the keyboard."""

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
