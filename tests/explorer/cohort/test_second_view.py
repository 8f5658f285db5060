"""Two embeddings of the same scans: what is selected in one is selected in the other."""

import pandas as pd

from tests.explorer.fake_runs import write_findings
from workbench.explorer.cohort.second_view import SecondView, in_both
from workbench.explorer.session.state import ExplorerState


def test_a_selection_is_of_the_same_scans_in_both(own_runs):
    write_findings(own_runs)
    table = own_runs / "embed-b" / "results" / "projections.parquet"
    pd.read_parquet(table).iloc[[3, 1, 0]].to_parquet(table)  # another order, and one scan less
    state = ExplorerState(own_runs)
    state.panel = "second"
    view = SecondView(state)
    assert state.other_embed == "embed-b" and "3 of n = 4 scans are in both" in view.hint.object
    both, x, _ = in_both(state)
    assert (both[x].to_numpy() * state.cohort.set_index("scan_id").loc[both["scan_id"], x].to_numpy() < 0).all()
    view._tell([1, 2])
    assert state.selection == both["scan_id"].iloc[[1, 2]].tolist()
    state.select_ids(["fake_sub-02", "fake_sub-03"])  # the first of them is not in the second
    assert list(view.pane.object.opts.get().kwargs["selected"]) == [both["scan_id"].tolist().index("fake_sub-03")]


def test_without_a_second_embedding_the_panel_says_what_makes_one(fake_runs):
    state = ExplorerState(fake_runs)
    state.panel = "second"
    assert "workbench embed" in SecondView(state).hint.object
