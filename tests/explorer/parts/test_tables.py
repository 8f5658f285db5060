import pandas as pd
import pytest

from workbench.explorer.parts.tables import chooser


@pytest.mark.parametrize(("row", "marked"), [(0, [0]), (7, [1]), (8, [2]), (3, [])])
def test_the_chosen_row_of_a_later_page_is_marked_when_the_table_is_new_on_the_screen(row, marked):
    table = chooser(selectable=1, page_size=3)
    table.value = pd.DataFrame({"a": range(9)})
    table.param.update(selection=[row], page=3 if row in (7, 8) else 1)
    assert table.get_root().source.selected.indices == marked


def test_a_click_means_the_row_that_is_seen():
    from panel.models.tabulator import CellClickEvent

    table, clicked = chooser(page_size=3), []
    table.on_click(lambda event: clicked.append(event.row))
    table.value = pd.DataFrame({"a": list("3120")})
    table.get_root()
    table.page = 2
    table._process_event(CellClickEvent(None, "a", 0))  # the fourth row
    table.page, table.sorters = 1, [{"field": "a", "dir": "asc"}]
    table._process_event(CellClickEvent(None, "a", 0))  # the smallest
    table.sorters, table.filters = [], [{"field": "a", "type": "like", "value": "2"}]
    table._process_event(CellClickEvent(None, "a", 0))
    assert clicked == [3, 3, 2]
