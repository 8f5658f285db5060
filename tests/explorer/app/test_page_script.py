from workbench.explorer.app.page_script import PageScript, press
from workbench.explorer.session.state import ExplorerState


def test_o_takes_away_what_is_shown_and_brings_back_the_same(fake_runs):
    state = ExplorerState(fake_runs)
    script = PageScript(state)
    state.param.update(show_attention=False, show_truth=False, show_prediction=False, show_error=True, show_beside=True)
    press(state, "o", script)
    assert not any(getattr(state, name) for name in state.param if name.startswith("show_"))
    press(state, "o", script)
    assert {n for n in state.param if n.startswith("show_") and getattr(state, n)} == {"show_error", "show_beside"}


def test_the_server_answers_a_beat_and_a_step_back(fake_runs):
    state = ExplorerState(fake_runs)
    script = PageScript(state)
    script._handle_msg({"beat": 12345.0})
    assert script.answered == 12345.0
    here = script.search
    state.select_case("fake_sub-03")
    script._handle_msg({"search": here})
    assert state.case == "fake_sub-00" and script.search == here
    script._handle_msg({"search": "?case=nobody"})
    assert "nobody" in state.message
