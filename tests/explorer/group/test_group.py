"""What the page of groups says and sends, without a browser."""

import gzip

import nibabel as nib
import numpy as np
import pytest

from tests.explorer.group.made import PEAK, write_group_run
from workbench.explorer.group import maps
from workbench.explorer.group.group_view import GroupView
from workbench.explorer.session.address import read, write
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored.catalog import Catalog


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    write_group_run(root / "group", attend=root / "attend")
    write_group_run(root / "nothing", attend=root / "attend", found=False)
    return root


def chosen(run="group", a="South", b="North", weights="pretrained", found="p_family"):
    return maps.Chosen(run, "site", a, b, weights, found)


def voxels(content, affine):
    image = nib.Nifti1Image.from_bytes(gzip.decompress(content))
    at = np.argwhere(np.asanyarray(image.dataobj) > 0)
    return nib.affines.apply_affine(np.reshape(affine, (4, 4)), at)


def test_a_difference_lies_where_it_was_planted_whichever_way_round(runs):
    catalog = Catalog.scan(runs)
    for pair, slot, title in (
        (chosen(), "attention", "Higher in South"),
        (chosen(a="North", b="South"), "beside", "Higher in South"),
    ):
        made = maps.picture(catalog, pair)
        assert set(made.volumes) == {"base", slot} and made.looks[slot]["title"] == title
        mm = voxels(made.volumes[slot].content, made.volumes[slot].affine)
        assert np.linalg.norm(mm.mean(axis=0) - PEAK) < 6 and (mm[:, 0] < 0).all()
        assert made.looks[slot]["unit"] == "times the brain's mean" and made.looks[slot]["range"][1] > 1.5
    few, many = (
        len(voxels(maps.picture(catalog, chosen(found=f)).volumes["attention"].content, np.eye(4)))
        for f in ("p_family", "q")
    )
    assert few < many


def test_where_nothing_is_found_nothing_is_drawn_and_it_is_said(runs):
    catalog = Catalog.scan(runs)
    for pair in (chosen("nothing"), chosen(weights="random beside")):
        made = maps.picture(catalog, pair)
        assert set(made.volumes) == {"base"} and "No place is found" in made.note
    assert "no difference shown at any place" in maps.finding_html(catalog, chosen("nothing"))
    assert not maps.places_html(catalog, chosen("nothing"))
    assert "not estimable" in maps.finding_html(catalog, chosen(a="tiny <i>"))
    assert "were not compared" in maps.picture(catalog, chosen(a="tiny <i>")).note


def test_the_mean_is_drawn_from_what_average_brain_gets(runs):
    made = maps.picture(Catalog.scan(runs), chosen(b=""))
    assert made.looks["attention"]["range"][0] == 1 and made.looks["attention"]["title"] == "Mean attention, South"
    assert np.reshape(maps.box(Catalog.scan(runs), "group"), (4, 4)) @ [0, 0, 0, 1] == pytest.approx([-60, -75, -55, 1])


def test_what_is_said_has_n_intervals_and_what_else_differs(runs):
    catalog = Catalog.scan(runs)
    told = maps.finding_html(catalog, chosen())
    assert "South: n = 8 people, 8 scans; North: n = 8 people, 9 scans" in told
    assert (
        "South − North (site) differs in 12 of 1,000 ml" in told
        and "2.00 [1.60, 2.40]" in told
        and "random beside" in told
        and "no sex holds both" in told
    )
    assert "−20, +12, +8" in maps.places_html(catalog, chosen()) and "+2.00 [+1.60, +2.40]" in maps.places_html(
        catalog, chosen()
    )
    shares = maps.shares_html(catalog, chosen())
    assert (
        "2.00 [1.40, 2.60]" in shares and "0.016" in shares and "not estimable" in shares
    )  # the structure was not compared
    one = maps.shares_html(catalog, chosen(b=""))
    assert "5.00 [4.50, 5.50]" in one and "random beside" in one and "left hippocampus" in one


def test_names_from_data_are_escaped(runs):
    catalog = Catalog.scan(runs)
    for pair in (chosen(a="tiny <i>"), chosen(a="tiny <i>", b="")):
        assert "<i>" not in maps.finding_html(catalog, pair) + maps.shares_html(catalog, pair)


def test_choices_follow_the_run_and_live_in_the_address(runs):
    state = ExplorerState(runs)
    assert state.group_run == "group" and state.group_by == "site" and state.group_a == "North" and state.group_b == ""
    state.param.update(view="cohort", group_a="South", group_b="North", group_found="all", group_run="nothing")
    assert (state.group_a, state.group_b) == ("South", "North")  # both runs have them
    query = dict(part.split("=") for part in write(state)[0][1:].replace("+", " ").split("&"))
    other = ExplorerState(runs)
    assert not read(other, query)
    assert [getattr(other, n) for n in ("group_run", "group_a", "group_b", "group_found")] == [
        "nothing",
        "South",
        "North",
        "all",
    ]
    assert read(other, {"group_a": "elsewhere"})


def test_the_page_is_drawn_when_it_is_seen_and_an_empty_one_says_the_next_command(runs, tmp_path, own_runs):
    state = ExplorerState(runs)
    state.param["view"].objects = ["cohort", "group"]
    page = GroupView(state)
    assert page.view.base is None
    state.view = "group"
    assert page.view.base and page.view.attention and page.view.beside is None and len(page.view.frame) == 16
    state.group_b = "South"
    assert page.view.attention is None and page.view.beside and "SIMULATED" in page.view.caption
    empty = ExplorerState(tmp_path / "none")
    empty.param["view"].objects = ["cohort", "group"]
    empty.view = "group"
    page = GroupView(empty)
    assert "workbench attend" in page._told.object and not page._left.visible
    attended = ExplorerState(own_runs)
    attended.param["view"].objects = ["cohort", "group"]
    attended.view = "group"
    assert GroupView(attended)._told.object.count("<code>workbench group") == 1
