"""Three kinds of work, each from the first screen to an exported result: a radiology postdoc, a machine-learning
researcher, somebody who checks scans."""

import io
import json
import re
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.explorer.fake_runs import write_fake_runs, write_findings, write_second_segmentation
from tests.ui.explorer_page import ExplorerPage
from workbench.cli import main
from workbench.cohort import CohortConfig, run_cohort
from workbench.testing import write_bids

FIRST = ["base", "attention"]


@pytest.fixture(scope="module")
def studied(serve, tmp_path_factory):
    """The address of runs with all that the three want to see."""
    return serve(write_second_segmentation(write_findings(write_fake_runs(tmp_path_factory.mktemp("studied"), n=8))))


def tab(page, name):
    page.locator(".bk-btn-group").first.get_by_text(name, exact=True).first.click()


def download(page, button, to):
    with page.expect_download() as taken:
        button.click()
    taken.value.save_as(to / taken.value.suggested_filename)
    return to / taken.value.suggested_filename


def test_a_postdoc_reads_the_finding_sees_a_scan_and_saves_a_figure(studied, open_page, tmp_path):
    page = open_page(studied)
    explorer = ExplorerPage(page)
    # the first screen says it in a sentence, with interval, chance and n, and leads to the figures
    page.get_by_text(re.compile(r"can be named from the embedding in 83 % \[73, 93\] of people \(n = 12\)")).wait_for()
    page.get_by_role("button", name="Sites", exact=True).last.click()
    page.locator("h2:has-text('How far apart are the sites?')").wait_for()
    page.locator("td:text-is('after ComBat')").first.wait_for()
    page.locator("p:has-text('a classifier is asked')").wait_for()  # the words are explained

    tab(page, "Scan")
    explorer.wait_ready(FIRST)
    explorer.check("Where else?")
    page.wait_for_selector(".volume-view:visible[data-state=ready][data-volumes*=similarity]")
    assert {"base", "attention", "similarity"} == set(json.loads(explorer.data()["volumes"]))
    scan = explorer.case()
    file = download(page, explorer.view.locator(".save"), tmp_path)
    assert scan in file.name
    picture = np.asarray(Image.open(file).convert("RGB")).astype(int)
    assert (np.ptp(picture, axis=2) > 80).sum() > 500  # both maps and their colour bars


def test_a_researcher_holds_run_a_against_run_b_and_takes_a_figure_home(studied, open_page, tmp_path, monkeypatch):
    page = open_page(studied)
    explorer = ExplorerPage(page)
    explorer.wait_ready(FIRST)
    page.get_by_role("button", name="Second", exact=True).click()  # two embeddings, one below the other
    page.locator("text=8 of n = 8 scans are in both").wait_for()

    tab(page, "Comparison")
    page.get_by_text("Largest difference first").click()
    page.locator(".tabulator-row").first.locator("text=fake/sub-04").wait_for()
    page.locator(".tabulator-row").first.locator("text=fake/sub-04").click()
    explorer.wait_case("fake_sub-04")
    page.get_by_role("button", name="A against B", exact=True).first.click()
    explorer.wait_ready(["base", "against", "prediction", "other"])
    told = explorer.view.inner_text()
    ml = {name: float(re.search(rf"{name} ([\d.]+) ml", told)[1]) for name in ("both correct", "only A correct")}
    assert ml["both correct"] == 0 and ml["only A correct"] > 0  # B found nothing in this scan
    page.go_back()
    explorer.wait_ready(FIRST)
    page.get_by_role("button", name="By site", exact=True).last.click()
    page.locator("tr:has-text('all sites') td:has-text('n = ')").first.wait_for()

    page.get_by_role("button", name="Cases", exact=True).click()
    taken = zipfile.ZipFile(download(page, page.get_by_text("Slices", exact=True), tmp_path))
    assert set(taken.namelist()) == {f"cases.{kind}" for kind in ("pdf", "svg", "png", "txt", "py")}
    assert round(Image.open(io.BytesIO(taken.read("cases.png"))).info["dpi"][0]) >= 300
    assert "differ most" in taken.read("cases.txt").decode() and "Simulated data" in taken.read("cases.txt").decode()
    monkeypatch.chdir(tmp_path)
    exec(taken.read("cases.py").decode(), {})  # the Python lines make it again
    assert (tmp_path / "cases.pdf").read_bytes().startswith(b"%PDF")


def test_quality_control_by_key_ends_in_a_split_without_the_failed(serve, open_page, tmp_path):
    runs = tmp_path / "runs"
    cohort = run_cohort(CohortConfig(out=runs / "cohort", sources=[write_bids(tmp_path / "mri", people=6)], workers=1))
    page = open_page(serve(runs))  # no embedding is needed
    explorer = ExplorerPage(page)
    explorer.wait_ready(["base", "truth"])
    tab(page, "Check")
    page.locator("b:text-is('0 of 6')").wait_for()
    failed = explorer.case()
    case = failed
    for key, count in (("3", 1), ("1", 2)):
        page.keyboard.press(key)
        page.locator(f"b:text-is('{count} of 6')").wait_for()
        case = explorer.wait_other_case(case)
    third = case
    page.keyboard.press("n")
    fourth = explorer.wait_other_case(third)
    page.keyboard.press("2")
    page.locator("b:text-is('3 of 6')").wait_for()
    explorer.wait_other_case(fourth)
    for _ in range(3):
        page.keyboard.press("p")
    page.keyboard.press("u")  # the next without a verdict, past those that have one
    explorer.wait_case(third)
    page.locator("text=1 pass, 1 doubtful, 1 fail").wait_for()

    file = download(page, page.get_by_text("TSV", exact=True), tmp_path)
    table = pd.read_csv(file, sep="\t")
    assert list(table["rating"]) == ["fail", "pass", "doubtful"]
    assert main(["split", "--out", str(runs / "split"), "--cohort", str(cohort.path), "--exclude", str(file)]) == 0
    people = pd.read_parquet(runs / "split" / "results" / "split.parquet")["participant"]
    out = table.loc[table["scan_id"] == failed, "participant"].item()
    assert len(people) == 5 and out not in set(people)
