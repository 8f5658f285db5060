import pytest

from workbench.cohort import ratings
from workbench.explorer.app.page_script import PageScript, press
from workbench.explorer.app.pages import PAGES
from workbench.explorer.check.check_view import CheckView
from workbench.explorer.session.state import ExplorerState


@pytest.fixture
def page(own_runs):
    state = ExplorerState(own_runs)
    state.param["view"].objects = [page.key for page in PAGES]
    state.view = "check"
    view = CheckView(state)
    view.param.update(rater="Ada", unusual_first=False)
    return state, view, PageScript(state)


def test_a_key_is_a_verdict_and_goes_on(page):
    state, view, script = page
    first = state.case
    press(state, "1", script)
    second = state.case
    assert second != first and "1 of 4" in view._progress.object
    view.note = "moved"
    press(state, "3", script)
    press(state, "3", script)  # the same key again is the next verdict
    table = ratings.read_ratings(view.file).set_index("scan_id")
    assert table.loc[first, "rating"] == "pass" and table.loc[second, ["rating", "note"]].tolist() == ["fail", "moved"]
    assert "3 of 4" in view._progress.object and view.note == ""
    press(state, "u", script)
    assert state.case not in table.index
    assert view.file.parent == state.catalog.run(state.embed_run).path.parent  # beside the run


def test_keys_give_no_verdict_on_another_page(page):
    state, view, script = page
    state.view = "cohort"
    press(state, "3", script)
    assert not view.file.exists()


def test_another_pages_verdict_stays(page):
    state, view, _ = page
    row = state.row()
    ratings.record(view.file, row["scan_id"], row["participant"], "fail", "", "Bob")
    view._rate("pass")
    assert ratings.worst(ratings.read_ratings(view.file)) == {row["scan_id"]: "fail"}
    assert len(ratings.read_ratings(view.file)) == 2


def test_what_is_unusual_comes_first(page):
    state, view, _ = page
    view._z = view._z.assign(brain=0.0)
    view._z.loc[2, "brain"] = 9.0
    view.unusual_first = True
    assert state.walked_rows()[0] == 2
