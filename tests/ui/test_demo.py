"""`make demo`, as the README says it, made small; then the explorer on what it left."""

import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.ui.explorer_page import ExplorerPage
from workbench.runs import find_runs

REPO = Path(__file__).parents[2]
PEOPLE = 12
SMALL = [f"PARTICIPANTS={PEOPLE}", "SPACING=4", "EPOCHS=1", "STEPS=2", "DRAWS=1"]


def make_demo(folder: Path) -> subprocess.CompletedProcess:
    """The real Makefile with this environment for its own; `-o` because the installation is not what is tested."""
    venv = Path(sys.prefix)
    command = ["make", "-o", str(venv / ".installed"), "demo", f"VENV={venv}", f"DEMO={folder}", "SERVE=0", *SMALL]
    return subprocess.run(command, cwd=REPO, capture_output=True, text=True)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    folder = tmp_path_factory.mktemp("demo")
    done = make_demo(folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_every_job_of_the_demo_is_done_and_marked_simulated(demo):
    runs = find_runs(demo / "runs")
    assert {run.job for run in runs.values()} == {
        "cohort",
        "split",
        "prepare",
        "pretrain",
        "segment",
        "classify",
        "embed",
        "attend",
        "shift",
        "whatif",
        "tokens",
        "probe",
    }
    assert all(run.ok and run.simulated for run in runs.values())


def test_doing_it_again_trains_nothing_again(demo):
    metrics = list(demo.rglob("metrics.jsonl"))
    before = {p: p.stat().st_mtime_ns for p in metrics}
    assert len(metrics) == 3 and make_demo(demo).returncode == 0
    assert {p: p.stat().st_mtime_ns for p in metrics} == before


def test_predictions_and_maps_of_every_site_lie_on_the_scan_they_are_of(demo):
    """Three stored orientations, one of them oblique: same grid as the file, to the last digit of the header."""
    runs = find_runs(demo / "runs")
    scans = runs["embed-pretrained"].read_table("scans").set_index("scan_id")
    assert scans["axcodes"].nunique() == 3
    for run, table in (("hippocampus-pretrained", "dice"), ("attend-pretrained", "attention")):
        for row in runs[run].read_table(table).drop_duplicates("scan_id").itertuples():
            made, scan = nib.load(runs[run].path / row.file), nib.load(scans.loc[row.scan_id, "path"])
            assert made.shape == scan.shape
            np.testing.assert_allclose(made.affine, scan.affine, atol=1e-4)


def loneliest(points: dict[str, list[float]]) -> str:
    """The point furthest from its nearest neighbour: a click there can mean no other."""
    places = np.array(list(points.values()))
    apart = np.linalg.norm(places[:, None] - places[None], axis=2) + 1e6 * np.eye(len(places))
    return list(points)[int(apart.min(axis=1).argmax())]


def test_the_explorer_shows_the_demo(demo, serve, open_page):
    explorer = ExplorerPage(open_page(serve(demo / "runs")))
    explorer.wait_ready(["base", "attention"])  # the scan and one overlay
    points = explorer.points()
    assert len(points) == PEOPLE
    other = loneliest({scan_id: p for scan_id, p in points.items() if scan_id != explorer.case()})
    before = explorer.picture()
    explorer.page.mouse.click(*points[other])
    explorer.wait_case(other)
    explorer.wait_ready()
    assert np.abs(explorer.picture() - before).max() > 50
    with_attention = explorer.picture()
    explorer.check("Attention")
    explorer.page.wait_for_timeout(1500)
    assert (np.abs(explorer.picture() - with_attention).max(axis=2) > 20).sum() > 50
    assert explorer.page.locator("text=SIMULATED DATA").first.is_visible()
