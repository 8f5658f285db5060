"""Two runs against each other: which viewer shows what, the order of the cases, the table by site, figures."""

import numpy as np
import pandas as pd
import pytest

from tests.explorer.fake_runs import write_fake_runs, write_second_segmentation
from workbench.explorer.app.pages import PAGES
from workbench.explorer.comparison.comparison_view import ComparisonView
from workbench.explorer.overlays import chosen, overlays
from workbench.explorer.session import address
from workbench.explorer.session.state import ExplorerState


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return write_second_segmentation(write_fake_runs(tmp_path_factory.mktemp("two"), n=8))


@pytest.fixture
def page(two):
    state = ExplorerState(two)
    state.param["view"].objects = [page.key for page in PAGES]
    state.param.update(view="comparison", part="all")
    return state, ComparisonView(state)


def test_one_viewer_shows_both_as_outlines_and_where_only_one_is_right(page):
    state, view = page
    view._one_viewer()
    assert (state.segment_run, state.other_run) == ("segment", "segment-b") and state.outline
    assert state.shown() == ["prediction", "other", "against"]
    state.select_case("fake_sub-04")  # B found nothing there
    found = overlays(state, state.row(), chosen(state))
    ml = {label["name"]: float(label["extra"].split()[0]) for label in found["against"].look["labels"]}
    assert ml["both correct"] == 0 and ml["only A correct"] > 0 and ml["neither"] > 0
    state.select_case("fake_sub-02")  # and is right to the voxel here
    found = overlays(state, state.row(), chosen(state))
    ml = {label["name"]: float(label["extra"].split()[0]) for label in found["against"].look["labels"]}
    assert ml["only A correct"] == ml["neither"] == 0 and ml["only B correct"] > 0 and ml["both correct"] > 0


def test_next_goes_through_the_cases_as_they_stand(page):
    state, view = page
    state.case_order = "difference"
    assert view._ids[0] == "fake_sub-04"
    state.select_case(view._ids[0])
    state.step(1)
    assert state.case == view._ids[1] and state.standing() == (2, 7)
    state.case_order = "worst"
    assert view._ids[0] == "fake_sub-06"


def test_a_run_is_never_held_against_itself(page):
    state, _ = page
    state.segment_run = "segment-b"
    assert state.other_run == "segment"
    assert address.read(state, {"other_run": "segment-b"})


def test_the_table_by_site_has_intervals_and_n_and_its_file_every_measure(page):
    state, view = page
    state.below = "sites"
    html = view._by_site._table.object
    assert html.count("n = 4") >= 2 and html.count("n = 7") == 2 and "segment-b" in html and " [" in html
    table = pd.read_csv(view._by_site._every())
    assert set(table["measure"]) == set(state.param["metric"].objects) and table["simulated"].all()


def test_slices_of_cases_are_a_figure_that_its_lines_make_again(page, two, tmp_path, monkeypatch):
    state, view = page
    state.case_order = "difference"
    figure, caption, code = view._strips()
    assert len(figure.axes) == 6 * 2 and "segment-b" in caption and "Simulated data" in caption
    own = {}
    exec(f"from workbench import plots\nfrom workbench.explorer.stored.catalog import Catalog\n{code}", own)
    again = own["figure"]
    for one, other in zip(figure.axes, again.axes, strict=True):
        np.testing.assert_array_equal(one.images[0].get_array(), other.images[0].get_array())
