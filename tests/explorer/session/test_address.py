"""The address holds the state, and nothing from an address is believed."""

import functools
from urllib.parse import parse_qsl

import param
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.explorer.session import address
from workbench.explorer.session.state import ExplorerState


def query_of(state):
    return dict(parse_qsl(address.write(state)[0][1:]))


def values_of(state):
    return {name: getattr(state, name) for name in address.held(state)}


def test_another_session_opened_at_the_address_is_the_same(fake_runs):
    state = ExplorerState(fake_runs)
    state.param.update(
        projection="PCA",
        color="age",
        attend_run="attend-random",
        radiological=False,
        mass=40,
        attention_opacity=0.35,
        layout="axial",
        show_truth=False,
    )
    state.head = "2"
    state.select_rows([1, 3, 4])
    state.select_case(state.selection[2])
    other = ExplorerState(fake_runs)
    assert values_of(other) != values_of(state)
    assert address.read(other, query_of(state)) == []
    assert values_of(other) == values_of(state)


def test_every_parameter_is_held_but_the_data(fake_runs):
    state = ExplorerState(fake_runs)
    missing = {n for n in state.param if (state.param[n].precedence or 0) >= 0} - set(address.held(state))
    assert missing == {"name", "cohort", "message"}


def test_a_long_selection_is_a_bitmap_of_this_cohort_only(fake_runs, monkeypatch):
    monkeypatch.setattr(address, "FEW", 2)
    state, other = ExplorerState(fake_runs), ExplorerState(fake_runs)
    state.select_rows([0, 2, 7])
    query = query_of(state)
    assert query["selection"].startswith("~") and not address.read(other, query)
    assert other.selection == state.selection
    mangled = query["selection"][:10] + "~AAAA"  # as a program of mail leaves it
    assert len(address.read(other, {"selection": mangled})) == 1 and other.selection == state.selection
    other.cohort = other.cohort.iloc[::-1].reset_index(drop=True)
    other.selection = []
    assert len(address.read(other, query)) == 1 and other.selection == []


HOSTILE = [
    "../../etc/passwd",
    "",
    "\0",
    "<script>",
    "nan",
    "inf",
    "1e999",
    "~",
    "~a~b",
    "~00000000~!!!!",
    "1,2,3",
    "x" * 5000,
    "__class__",
    "'; drop",
    "fake_sub-00/../fake_sub-01",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_what_is_not_to_be_had_is_refused_and_the_state_stays_valid(fake_runs, value):
    state = ExplorerState(fake_runs)
    before = values_of(state)
    problems = address.read(state, dict.fromkeys([*address.held(state), "catalog", "runs_folder", "message"], value))
    after = values_of(state)
    if value != "":  # nothing selected is a value
        assert after == before and problems
    assert all(len(p) < 200 for p in problems)
    assert state.runs_folder == fake_runs and state.message == ""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(["mass", "attention_opacity"]), number=st.floats(allow_nan=True))
def test_numbers_stay_within_their_bounds(fake_runs, name, number):
    state = _kept(fake_runs)
    address.read(state, {name: repr(number)})
    low, high = state.param[name].bounds
    assert low <= getattr(state, name) <= high


def test_what_a_page_adds_is_held_by_its_kind(fake_runs):
    class Wider(ExplorerState):
        pair = param.List(default=[], item_type=str)
        window = param.Range(default=None, allow_None=True)
        secret = param.String(default="", precedence=-1)

    state, other = Wider(fake_runs), Wider(fake_runs)
    state.param.update(pair=["fake_sub-01", "fake_sub-02"], window=(10.0, 80.5), secret="s")
    assert not address.read(other, query_of(state))
    assert (other.pair, other.window, other.secret) == (state.pair, state.window, "")
    assert address.read(other, {"pair": "fake_sub-01,/etc/passwd"}) and len(other.pair) == 2


@functools.lru_cache
def _kept(folder):
    return ExplorerState(folder)


def test_going_back_takes_back_what_the_address_does_not_hold(fake_runs):
    state = ExplorerState(fake_runs)
    before, _ = address.write(state)
    state.param.update(mass=40, show_error=True)
    state.select_case("fake_sub-05")
    assert address.go(state, dict(parse_qsl(before.lstrip("?")))) == []
    assert (state.mass, state.show_error, state.case) == (25, False, "fake_sub-00")
    assert address.write(state)[0] == before
    assert len(address.go(state, {"case": "../../etc"})) == 1


def test_going_back_takes_what_stands_beside_the_case_away_and_leaves_the_runs_that_are_compared(fake_runs):
    state = ExplorerState(fake_runs)
    before, compared = query_of(state), list(state.compared)
    state.runs_beside = ["attend-random"]
    assert address.go(state, {name: text for name, text in before.items() if name != "compared"}) == []
    assert state.runs_beside == [] and state.compared == compared
