import re

import panel as pn
import pytest

from workbench.explorer.app.pages import PAGES
from workbench.explorer.app.saved_page import saved_page
from workbench.explorer.session.state import ExplorerState

pn.extension("tabulator")


@pytest.mark.parametrize("key", [page.key for page in PAGES])
def test_every_page_can_be_saved_and_names_no_address_that_would_be_loaded(fake_runs, key):
    state = ExplorerState(fake_runs)
    state.param["view"].objects = [page.key for page in PAGES]
    state.view = key
    text = saved_page(state).getvalue().decode()
    assert "SIMULATED DATA" in text and (key == "cohort" or f"view={key}" in text)
    loaded = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?:[^"]+)"', text)
    sheets = re.findall(r'"url":"(https?:[^"]+)"', text)
    assert not loaded and not sheets


def test_saving_leaves_the_living_page_as_it_is(fake_runs):
    state = ExplorerState(fake_runs)
    state.select_rows([1, 3])
    before = state.param.values()
    saved_page(state)
    assert all(
        before[name] is value or before[name] == value
        for name, value in state.param.values().items()
        if name != "cohort"
    )


def test_what_hostile_names_say_stays_text(own_runs):
    evil = "<img src=x onerror=alert(1)>"
    (own_runs / "embed").rename(own_runs / evil)
    text = saved_page(ExplorerState(own_runs)).getvalue().decode()
    heading = text[text.index("a page of the explorer, saved") :][:3000]
    assert "<img" not in heading
