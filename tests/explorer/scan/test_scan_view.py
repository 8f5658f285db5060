import pandas as pd
import pytest

from workbench.explorer.app.page import build
from workbench.explorer.cohort.table_view import TableView
from workbench.explorer.parts.summary_view import empty_html, summary_html
from workbench.explorer.scan.details_view import case_html
from workbench.explorer.scan.scan_controls import _other_runs
from workbench.explorer.scan.scan_view import ScanView
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored import files


def everything(runs, **how):
    state = ExplorerState(runs, **how)
    state.param.update(show_truth=True, show_prediction=True)
    return state


EVIL = "<img src=x onerror=alert(1)>"


def test_an_overlay_switch_leaves_the_scan_where_it_is(fake_runs):
    state = everything(fake_runs)
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
    state = everything(fake_runs)
    view = ScanView(state).view
    events = []
    slots = ["base", "attention", "truth", "prediction"]
    view.param.watch(lambda *changes: events.append({c.name for c in changes}), slots)
    state.step(1)
    assert events == [set(slots)]
    state.case = str(state.cohort["scan_id"].iloc[-1])  # the one that has a scan and nothing else
    assert view.base and view.attention is None and view.truth is None and view.prediction is None
    assert set(view.looks) == {"base"}


def test_without_a_gpu_the_scan_comes_first_and_no_overlay_of_a_scan_that_was_left(fake_runs, monkeypatch):
    monkeypatch.setattr(files, "COARSE", 14**3)
    state = everything(fake_runs, served=True)
    view = ScanView(state).view
    assert view.base is None  # nothing before the browser has said how it draws
    view.drawn_by = "software"
    assert view.base and view.attention is None and view.step == 2
    view.shown = view.ticket
    assert view.attention and view.truth and view.prediction
    state.step(1)
    first = view.base
    assert view.attention is None and view.truth is None
    shown = view.ticket
    state.step(1)
    view.shown = shown  # the one before comes to the screen when it is no longer wanted
    assert view.base != first and view.attention is None
    view.shown = view.ticket
    assert view.attention and view.scan == state.case
    coarse = view.base
    state.every_voxel = True
    assert view.step == 1 and len(view.base) != len(coarse) and view.attention
    assert view.base == files.read_nifti(files.scan_file(files.case_row(state.cohort, state.case))).content


def test_the_next_scan_is_sent_while_this_one_is_looked_at_and_then_only_named(fake_runs, monkeypatch):
    monkeypatch.setattr(files, "COARSE", 14**3)
    monkeypatch.setattr(files, "prepare_coarse", lambda paths, done: done())
    state = everything(fake_runs, served=True)
    view = ScanView(state).view
    view.drawn_by = "software"
    view.shown = view.ticket
    assert not view.ahead  # the overlays are still on their way
    view.shown = view.ticket
    ahead, row = view.ahead, files.case_row(state.cohort, state.neighbour(1))
    assert set(ahead) == {"base", "attention", "prediction", "truth"} and state.message == ""
    assert ahead["base"]["bytes"] == files.read_coarse(files.scan_file(row), 2).content
    state.step(1)
    assert all(getattr(view, slot) == one["name"].encode() for slot, one in ahead.items())
    assert view.looks == {slot: one["look"] for slot, one in ahead.items()} and view.scan == state.case
    view.shown = view.ticket
    state.step(-1)  # nobody foresaw that
    assert len(view.base) > 348 and view.attention is None
    view.shown = view.ticket
    state.show_error = True
    state.step(1)
    view.shown = view.ticket
    view.shown = view.ticket
    assert set(view.ahead) == {"base", "attention"}  # what has to be worked out waits until it is asked for


def test_with_a_gpu_all_comes_at_once_and_whole(fake_runs, monkeypatch):
    monkeypatch.setattr(files, "COARSE", 14**3)
    state = everything(fake_runs, served=True)
    view = ScanView(state).view
    view.drawn_by = "gpu"
    assert view.base and view.attention and view.step == 1


def test_a_case_stands_beside_itself_under_another_run(fake_runs):
    state = everything(fake_runs)
    scans = ScanView(state)
    state.runs_beside = ["attend-random"]
    here, beside = (pane.view for pane in scans._panes)
    assert beside.base == here.base and beside.truth == here.truth and beside.scan == here.scan == state.case
    assert beside.prediction is None and here.prediction  # that run's encoder was not fine-tuned
    row = state.catalog.table("attend-random", "attention").set_index(["scan_id", "head"]).loc[(state.case, "mean")]
    assert beside.attention == (fake_runs / "attend-random" / row["file"]).read_bytes()
    assert "attend-random" in beside.caption and "segment" in here.caption
    state.runs_beside = []
    assert len(scans._panes) == 1 and "segment" not in here.caption


def test_labels_are_named_by_the_cohort_and_drawn_in_the_run_s_structures(fake_runs):
    state = everything(fake_runs)
    looks = ScanView(state).view.looks
    assert {(label["code"], label["name"]) for label in looks["truth"]["labels"]} == {
        (1, "right hippocampus"),
        (2, "left hippocampus"),
    }
    assert [label["name"] for label in looks["prediction"]["labels"]] == ["left hippocampus", "right hippocampus"]


def test_a_missing_overlay_says_why(fake_runs):
    state = everything(fake_runs)
    view = ScanView(state)
    state.case = str(state.cohort["scan_id"].iloc[-1])
    assert "no map" in view.notes["attention"].object
    assert "no segmentation" in view.notes["truth"].object
    state.case = str(state.cohort["scan_id"].iloc[0])
    state.attend_run = "attend-random"
    assert "another encoder" in view.notes["attention"].object


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
    assert table.table._data["dice_mean"][1] is None  # as it is sent
    state.select_case("fake_sub-07")
    assert table.table.selection == [1]


def test_text_from_data_is_escaped(own_runs):
    scans = own_runs / "embed" / "results" / "scans.parquet"
    pd.read_parquet(scans).assign(site=EVIL, **{EVIL: "x"}).to_parquet(scans)
    state = ExplorerState(own_runs)
    html = case_html(state.row(), state.case_dice().assign(structure=EVIL, run=EVIL, split=EVIL))
    assert "<img" not in html and "&lt;img" in html
    table = TableView(state).table
    assert all("<img" not in title for title in table.titles.values())
    # whatever becomes of the titles, as when the embedding gets unreadable under an open page: no name is markup
    assert EVIL in state.cohort and all("<" not in name for name in [*table.value.columns, *table.titles])
    (own_runs / "embed" / "results" / "scans.parquet").write_bytes(b"no table")
    state.refresh()
    assert all("<" not in name for name in [*table.value.columns, *table.titles, *table.header_filters])
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


def test_of_no_runs_there_is_nothing_to_choose(tmp_path):
    """Panel offers a choice of nothing as one that is called "[]"."""
    state = ExplorerState(runs_folder=tmp_path)
    others = _other_runs(state)
    assert not others.visible and not others[0].options
    state.param["runs_beside"].objects = ["a", "b"]
    assert others.visible and list(others[0].options) == ["a", "b"]
