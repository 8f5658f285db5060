import pandas as pd
import pytest

from workbench.explorer.app import build
from workbench.explorer.details_view import case_html
from workbench.explorer.scan_view import ScanView
from workbench.explorer.state import ExplorerState
from workbench.explorer.summary_view import empty_html, summary_html
from workbench.explorer.table_view import TableView

EVIL = "<img src=x onerror=alert(1)>"


def test_an_overlay_switch_leaves_the_scan_where_it_is(fake_runs):
    state = ExplorerState(fake_runs)
    view = ScanView(state).view
    base, truth, sent = view.base, view.truth, []
    view.param.watch(lambda event: sent.append(event.name), ["base", "attention", "truth", "prediction"])
    state.head = "1"
    assert sent == ["attention"]
    state.show_attention = False
    state.show_prediction = False
    assert view.attention is None and view.prediction is None
    assert view.base is base and view.truth is truth and set(sent) == {"attention", "prediction"}
    state.attention_opacity = 0.2
    state.mass = 30
    state.radiological = False
    assert len(sent) == 3


def test_another_case_replaces_every_volume_at_once(fake_runs):
    state = ExplorerState(fake_runs)
    view = ScanView(state).view
    events = []
    slots = ["base", "attention", "truth", "prediction"]
    view.param.watch(lambda *changes: events.append({c.name for c in changes}), slots)
    state.step(1)
    assert events == [set(slots)]
    state.case = str(state.cohort["scan_id"].iloc[-1])  # the one that has a scan and nothing else
    assert view.base and view.attention is None and view.truth is None and view.prediction is None
    assert set(view.looks) == {"base"}


def test_labels_are_named_by_the_cohort_and_drawn_in_the_run_s_structures(fake_runs):
    state = ExplorerState(fake_runs)
    looks = ScanView(state).view.looks
    assert {(label["code"], label["name"]) for label in looks["truth"]["labels"]} == {
        (1, "right hippocampus"), (2, "left hippocampus")}
    assert [label["name"] for label in looks["prediction"]["labels"]] == ["left hippocampus", "right hippocampus"]


def test_a_missing_overlay_says_why(fake_runs):
    state = ExplorerState(fake_runs)
    view = ScanView(state)
    state.case = str(state.cohort["scan_id"].iloc[-1])
    assert "no map" in view.notes["attention"].object
    assert "no segmentation" in view.notes["truth"].object
    state.case = str(state.cohort["scan_id"].iloc[0])
    state.attend_run = "attend-random"
    assert "Another encoder" in view.notes["attention"].object


def test_a_lost_scan_is_told_and_the_page_goes_on(own_runs):
    state = ExplorerState(own_runs)
    view = ScanView(state).view
    lost = str(state.cohort["path"].iloc[1])
    (own_runs / lost).unlink()
    state.step(1)
    assert view.base is None and "no such file" in state.message
    state.step(1)
    assert view.base


def test_the_table_follows_and_a_missing_value_is_empty(fake_runs):
    state = ExplorerState(fake_runs)
    table = TableView(state)
    state.select_rows([7, 2])
    assert list(table.table.value["participant"]) == ["fake/sub-02", "fake/sub-07"]
    assert table.table.value["dice_mean"].iloc[1] is None
    state.select_case("fake_sub-07")
    assert table.table.selection == [1]


def test_text_from_data_is_escaped(own_runs):
    scans = own_runs / "embed" / "results" / "scans.parquet"
    pd.read_parquet(scans).assign(site=EVIL, **{EVIL: "x"}).to_parquet(scans)
    state = ExplorerState(own_runs)
    html = case_html(state.row(), state.case_dice().assign(structure=EVIL, run=EVIL, split=EVIL))
    assert "<img" not in html and "&lt;img" in html
    assert all("<img" not in title for title in TableView(state).table.titles.values())
    state.catalog.unfinished[EVIL] = EVIL
    assert "<img" not in summary_html(state)


@pytest.mark.parametrize("what", ["nothing", "folder", "unfinished", EVIL])
def test_an_empty_state_says_what_to_do(tmp_path, own_runs, what):
    folder = {"nothing": None, "folder": tmp_path / "empty", "unfinished": own_runs, EVIL: tmp_path / EVIL}[what]
    (tmp_path / "empty").mkdir()
    if what == "unfinished":
        (own_runs / "embed" / "status.json").write_text('{"state": "failed", "why": "disk full"}')
    html = empty_html(ExplorerState(folder))
    assert "workbench " in html and "<img" not in html
    assert ("failed" in html) == (what == "unfinished")
    assert build(folder) is not None


def test_simulated_is_said(fake_runs):
    state = ExplorerState(fake_runs)
    assert "SIMULATED" in summary_html(state) and "SIMULATED" in case_html(state.row(), state.case_dice())
