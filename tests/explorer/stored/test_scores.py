"""Scores of several runs, their differences over people, and what leaves the page."""

import numpy as np
import pandas as pd
import pytest

from tests.explorer.fake_runs import write_second_segmentation
from workbench.explorer.app.pages import PAGES
from workbench.explorer.cohort import pictures
from workbench.explorer.cohort.cohort_view import PANELS
from workbench.explorer.cohort.table_view import TableView
from workbench.explorer.parts.spreadsheet import safe_csv
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored import scores
from workbench.volumes import Volume, write_volume


@pytest.fixture
def table():
    """Run b is 0.1 better in everybody at North; person p1 has two scans."""
    rows = [
        ("a", "s1", "p1", "North", 0.5),
        ("a", "s2", "p1", "North", 0.7),
        ("a", "s3", "p2", "North", 0.4),
        ("a", "s4", "p3", "South", 0.9),
        ("b", "s1", "p1", "North", 0.6),
        ("b", "s2", "p1", "North", 0.8),
        ("b", "s3", "p2", "North", 0.5),
        ("b", "s5", "p4", "South", 0.1),
    ]
    return pd.DataFrame(rows, columns=["run", "scan_id", "participant", "site", "value"]).assign(split="test")


def test_differences_pair_people_and_not_scans(table):
    found = scores.differences(table, "a", "b").set_index("site")
    assert found.loc["North", "n"] == 2 and found.loc["North", "value"] == pytest.approx(-0.1)
    assert found.loc["South", "n"] == 0 and np.isnan(found.loc["South", "low"])
    assert found.loc["all sites", "n"] == 2  # p3 and p4 have one run each


def test_the_worst_comes_first(table):
    shown = scores.wide(table, ["a", "b"], scores.MEAN)
    assert list(shown["scan_id"])[:3] == ["s3", "s1", "s2"]
    assert shown["difference 1"].iloc[0] == pytest.approx(-0.1)
    errors = scores.wide(table, ["a", "b"], "absolute error of age")
    assert errors["scan_id"].iloc[0] == "s4"


def test_the_largest_difference_comes_first_whoever_is_better(table):
    changed = table.assign(value=table["value"] - 0.3 * ((table["scan_id"] == "s2") & (table["run"] == "b")))
    shown = scores.wide(changed, ["a", "b"], scores.MEAN, "difference")
    assert shown["scan_id"].iloc[0] == "s2" and shown["difference 1"].iloc[0] == pytest.approx(0.2)
    known = shown["difference 1"].dropna().abs().tolist()
    assert known == sorted(known, reverse=True) and shown["difference 1"].isna().tolist() == [False] * 3 + [True] * 2


def test_a_cell_is_the_mean_over_people_with_its_n(table):
    found = scores.by_site(table, ["a", "b"]).set_index(["site", "run"])
    assert found.loc[("North", "a"), "value"] == pytest.approx((0.6 + 0.4) / 2) and found.loc[("North", "a"), "n"] == 2
    assert found.loc[("all sites", "b"), "n"] == 3 and list(found.index[0]) == ["all sites", "a"]
    low, high = found.loc[("all sites", "a"), ["low", "high"]]
    assert low < found.loc[("all sites", "a"), "value"] < high


def test_every_stored_measure_is_told_of_every_site_and_run(own_runs):
    write_second_segmentation(own_runs)
    state = ExplorerState(own_runs)
    found = scores.every_measure(state.catalog, ["segment", "segment-b"])
    assert set(found["measure"]) == set(state.param["metric"].objects)
    assert (found.groupby("measure").size() == 6).all()  # North, South and all of them, two runs
    assert len(scores.every_measure(state.catalog, ["segment"], "test")) < len(found) / 2 + 1


def test_scores_are_of_the_structure_that_is_asked_for(fake_runs):
    state = ExplorerState(fake_runs)
    assert state.metric == scores.MEAN and state.compared == ["segment"]
    mean = scores.scores(state.catalog, ["segment"], scores.MEAN).set_index("scan_id")["value"]
    left = scores.scores(state.catalog, ["segment"], "Dice, left_hippocampus").set_index("scan_id")["value"]
    np.testing.assert_allclose(left - mean, 0.025)


def test_overlays_of_a_run_come_with_the_attention_of_its_encoder(fake_runs):
    state = ExplorerState(fake_runs)
    state.attend_run = "attend-random"
    state.overlay_of("segment")
    assert (state.segment_run, state.attend_run) == ("segment", "attend")


def test_csv_holds_the_selection_says_simulated_and_runs_no_formula(fake_runs):
    state = ExplorerState(fake_runs)
    state.select_rows([1, 2])
    out = pd.read_csv(TableView(state)._export())
    assert list(out["scan_id"]) == state.selection and out["simulated"].all()
    assert safe_csv(pd.DataFrame({"=x": ["=cmd|' /C calc'!A0", "plain"]})).splitlines()[1].startswith("'=")


def test_pictures_are_upright_however_the_scan_is_stored(tmp_path):
    """Bright at low x (the left, in RAS+), stored with x either way."""
    data = np.ones((8, 6, 4), np.float32)
    data[:2] = 9
    for name, stored, sign in (("ras", data, 1), ("las", data[::-1], -1)):
        write_volume(tmp_path / f"{name}.nii.gz", Volume(stored, np.diag([sign, 1.0, 1.0, 1.0])))
        plane, _ = pictures.middle_slice(tmp_path / "no store", tmp_path / f"{name}.nii.gz", "x", "axial")
        np.testing.assert_array_equal(plane, data[:, :, 2])


def test_a_store_gives_the_slice_without_its_file(study, tmp_path):
    from workbench.prepare.store import Store

    store = Store(study.store)
    scan = store.scan_ids[0]
    plane, _ = pictures.middle_slice(study.store, tmp_path / "gone.nii.gz", scan, "coronal")
    np.testing.assert_array_equal(plane, store.read(scan)[:, store.shape(scan)[1] // 2].astype(np.float32))


def test_the_state_knows_the_pages_and_panels(fake_runs):
    assert ExplorerState.param["panel"].objects == list(PANELS)
    assert len({page.key for page in PAGES}) == len(PAGES)


def test_shares_are_by_site_with_n_and_interval():
    table = pd.DataFrame(
        {
            "run": ["a"] * 8,
            "scan_id": [f"s{i}" for i in range(8)],
            "participant": [f"p{i // 2}" for i in range(8)],
            "site": ["North"] * 4 + ["South"] * 4,
            "value": [1, 1, 1, 1, 0, 0, 1, 1.0],
        }
    )
    found = scores.shares(table, ["a"]).set_index("name")
    assert found.loc["all sites, a (n = 4)", "value"] == 0.75
    assert found.loc["South, a (n = 2)", "value"] == 0.5
    assert (found["low"].dropna() <= found["value"][found["low"].notna()]).all()


def test_every_stored_measure_is_offered_in_its_unit_and_lower_is_better_for_errors(own_runs):
    path = own_runs / "segment" / "results" / "dice.parquet"
    table = pd.read_parquet(path)
    table.assign(hd95_mm=np.arange(len(table)) + 1.0, volume_error_percent=-5.0).to_parquet(path)
    state = ExplorerState(own_runs)
    asked = {"HD95 (mm), mean of structures", "HD95 (mm), left_hippocampus", scores.MEAN}
    assert asked <= set(state.param["metric"].objects)
    found = scores.scores(state.catalog, ["segment"], "HD95 (mm), mean of structures")
    assert found["value"].iloc[0] == pytest.approx(1.5)
    worst = scores.wide(found, ["segment"], "HD95 (mm), mean of structures")["segment"].iloc[0]
    assert worst == found["value"].max()
    assert scores.better("absolute volume error (%), mean of structures") == -1 and scores.better(scores.MEAN) == 1
