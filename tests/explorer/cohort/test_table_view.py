from workbench.explorer.cohort.table_view import TableView
from workbench.explorer.session.state import ExplorerState


def walk(state, n):
    seen = []
    for _ in range(n):
        state.step(1)
        seen.append(int(state.case[-2:]))
    return seen


def test_next_follows_the_tables_sorting_and_filter(fake_runs):
    state = ExplorerState(fake_runs)
    view = TableView(state)
    view.table.sorters = [{"field": "age", "dir": "desc"}]
    state.select_case("fake_sub-07")
    assert state.standing() == (1, 8) and walk(state, 3) == [6, 5, 4]
    view.table.filters = [{"field": "site", "type": "like", "value": "North"}]
    assert state.standing()[1] == 4 and "4 shown by the filters of 8" in view._hint.object
    state.select_case("fake_sub-06")
    assert walk(state, 4) == [4, 2, 0, 6]
    view.table.filters = []
    view.table.sorters = []
    state.select_case("fake_sub-06")
    assert walk(state, 2) == [7, 0] and state.standing() == (1, 8)


def test_an_order_is_forgotten_with_its_selection(fake_runs):
    state = ExplorerState(fake_runs)
    view = TableView(state)
    view.table.sorters = [{"field": "age", "dir": "desc"}]
    state.select_ids(["fake_sub-01", "fake_sub-03", "fake_sub-05"])
    state.select_case("fake_sub-05")
    assert state.standing() == (1, 3) and walk(state, 3) == [3, 1, 5]
