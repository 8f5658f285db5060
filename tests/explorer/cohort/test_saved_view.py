import pandas as pd
import pytest

from workbench.cohort import selections as kept
from workbench.explorer.cohort.saved_view import SavedView
from workbench.explorer.scan.details_view import DetailsView
from workbench.explorer.session.state import ExplorerState


@pytest.fixture
def page(own_runs):
    state = ExplorerState(own_runs)
    state.panel = "saved"
    return state, SavedView(state)


def test_what_is_selected_is_saved_and_a_click_selects_it_again(page):
    state, view = page
    state.select_ids(["fake_sub-01", "fake_sub-03"])
    assert view._add.name == "Add 2 selected"
    view.called.value = "South <b>of</b>"
    view._change(True)
    state.select_rows([])
    assert list(view.table.value["name"]) == ["South <b>of</b>"] and list(view.table.value["scans"]) == ["2"]
    assert "<b>of" not in view.hint.object  # names come from people
    view._choose(0)
    assert state.selection == ["fake_sub-01", "fake_sub-03"]
    assert view.file.name == "embed-selections.tsv" and view._export().getvalue() == view.file.read_bytes()
    assert "South &lt;b&gt;of&lt;/b&gt;" in DetailsView(state)._pane.object


def test_without_a_selection_it_is_the_case_and_what_others_saved_is_seen(page):
    state, view = page
    state.select_case("fake_sub-02")
    assert view._add.name == "Add this scan"
    view.called.value = "motion"
    view._change(True)
    elsewhere = pd.DataFrame({"scan_id": ["other", "fake_sub-00"], "participant": ["o", "fake/sub-00"]})
    kept.add_to(view.file, "motion", elsewhere, "Bob")
    state.panel = "table"
    state.panel = "saved"
    assert list(view.table.value["scans"]) == ["2 (and 1 not of this cohort)"] and "Bob" in view.table.value["by"][0]
    assert "carries: motion" in view.hint.object
    view._change(False)
    assert "no name" in view.hint.object and set(kept.read_selections(view.file)["scan_id"]) == {"other", "fake_sub-00"}


def test_a_damaged_file_is_told_in_the_page_and_kept(page):
    state, view = page
    view.file.write_text("nonsense")
    view.called.value = "motion"
    view._change(True)
    assert "not a table of named selections" in state.message and view.file.read_text() == "nonsense"
