import json

import numpy as np

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


def test_missing_numbers_are_empty_cells_and_no_number_of_a_filter(fake_runs):
    state = ExplorerState(fake_runs)
    rank = np.arange(len(state.cohort))
    state.cohort = state.cohort.assign(age=np.where(rank % 2, np.nan, 40.25), visits=rank)
    view = TableView(state)
    shown = list(view.table._data["age"])
    assert shown == [40.25, None] * 3 and "NaN" not in json.dumps(shown)
    view.table.filters = [{"field": "age", "type": ">=", "value": "40"}]  # the browser sends what was typed
    assert state.standing()[1] == len(state.cohort) / 2
    view.table.filters = [{"field": "visits", "type": ">=", "value": "0.5"}]
    assert state.standing()[1] == len(state.cohort) - 1
    view.table.filters = [{"field": "site", "type": "like", "value": "nor"}]
    assert list(view.table._data["site"]) == ["North"] * (len(state.cohort) // 2)
