import pandas as pd
import pytest

from workbench.explorer.session.state import ExplorerState


@pytest.fixture
def state(fake_runs):
    return ExplorerState(fake_runs)


def test_starts_with_a_case_and_the_attention_of_the_same_encoder(state):
    assert (state.embed_run, state.attend_run, state.segment_run) == ("embed", "attend", "segment")
    assert state.color == "site" and state.projection == "UMAP"
    assert state.param.attend_run.objects == ["attend", "attend-random"]
    assert state.param["head"].objects == ["mean", "1", "2"]
    assert state.case == state.cohort["scan_id"].iloc[0]
    assert state.simulated and not state.message


def test_a_lasso_is_the_selection_and_its_first_scan_the_case(state):
    south = [i for i, site in enumerate(state.cohort["site"]) if site == "South"]
    state.select_rows(south)
    assert state.case == state.selection[0]
    assert set(state.selected()["site"]) == {"South"} and len(state.selected()) == len(south)
    state.select_case(state.selection[2])  # a row of the table: the case moves, the lasso stays
    assert len(state.selection) == len(south)
    state.select_rows([south[2], south[1]])  # the case is among them: it stays
    assert state.case == str(state.cohort["scan_id"].iloc[south[2]])
    state.select_rows([])
    assert len(state.selected()) == len(state.cohort)


def test_the_same_selection_again_tells_nobody(state):
    told = []
    state.select_rows([1, 3, 5])
    state.param.watch(told.append, ["selection", "case"])
    state.select_rows([5, 3, 1])
    assert not told
    state.select_case(str(state.cohort["scan_id"].iloc[0]))
    state.select_rows([1, 3, 5])  # the case was another meanwhile
    assert state.case == state.selection[0] and [event.name for event in told] == ["case", "case"]


def test_steps_go_through_the_selection_and_round_its_end(state):
    state.select_rows([1, 3, 5])
    seen = [state.case]
    for _ in range(3):
        state.step(1)
        seen.append(state.case)
    assert seen == [*state.selection, state.selection[0]]
    state.step(-1)
    assert state.case == state.selection[-1]


@pytest.mark.parametrize(
    "hostile",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "",
        "fake_sub-00/../fake_sub-01",
        "\0",
        "x" * 10000,
        "<script>alert(1)</script>",
    ],
)
def test_ids_that_no_table_holds_are_refused(state, hostile):
    before = state.case
    state.select_case(hostile)
    assert state.case == before
    assert "no such scan" in state.message and len(state.message) < 500


def test_positions_outside_the_table_are_ignored(state):
    state.select_rows([-1, 10**9])
    assert state.selection == []


def test_two_sessions_do_not_share_state(fake_runs):
    one, other = ExplorerState(fake_runs), ExplorerState(fake_runs)
    one.select_rows([1])
    one.radiological = False
    assert other.selection == [] and other.case != one.case and other.radiological


def test_dice_of_the_case_comes_with_its_split(state):
    dice = state.case_dice()
    assert list(dice["structure"]) == ["left_hippocampus", "right_hippocampus"]
    assert set(dice["split"]) == {"train"} and set(dice["run"]) == {"segment"}
    assert state.cohort["dice_mean"].iloc[0] == pytest.approx(dice["dice"].mean())


def test_nothing_to_show_is_no_error(tmp_path):
    for folder in (None, tmp_path, tmp_path / "nowhere"):
        state = ExplorerState(folder)
        assert state.embed_run is None and state.case == "" and state.row() is None and not state.message
        state.step(1)
        state.select_rows([0])


def test_a_new_run_is_found_and_the_choice_is_kept(own_runs):
    state = ExplorerState(own_runs)
    state.select_rows([2])
    (own_runs / "segment" / "status.json").rename(own_runs / "segment" / "gone.json")
    state.refresh()
    assert state.segment_run is None and len(state.selection) == 1 and "dice_mean" not in state.cohort
    (own_runs / "segment" / "gone.json").rename(own_runs / "segment" / "status.json")
    state.refresh()
    assert state.segment_run == "segment" and "dice_mean" in state.cohort


def test_damaged_tables_become_a_message(own_runs):
    (own_runs / "segment" / "results" / "dice.parquet").write_bytes(b"no parquet")
    state = ExplorerState(own_runs)
    assert "cannot be read" in state.message and len(state.cohort) == 4  # the embedding is shown all the same
    pd.DataFrame({"other": [1]}).to_parquet(own_runs / "embed" / "results" / "scans.parquet")
    state = ExplorerState(own_runs)
    assert "lack" in state.message and state.case == ""


def test_an_unreadable_status_hides_one_run_only(own_runs):
    (own_runs / "attend" / "status.json").write_text("{")
    state = ExplorerState(own_runs)
    assert state.attend_run == "attend-random" and "attend" in state.catalog.unfinished
