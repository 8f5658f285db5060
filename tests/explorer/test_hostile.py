"""Markup thrown at every name, value and error text: in every page of the explorer and in its saved file it is text."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import panel as pn
import pytest

from tests.explorer.hostile import evil, markup_in, write_hostile_runs
from workbench.explorer.app.page import layout
from workbench.explorer.app.pages import PAGES
from workbench.explorer.app.saved_page import saved_page
from workbench.explorer.parts.summary_view import SummaryView, empty_html
from workbench.explorer.session.state import ExplorerState

pn.extension("tabulator")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hostile_runs(tmp_path_factory.mktemp("hostile"))


def opened(runs: Path, view: str) -> ExplorerState:
    state = ExplorerState(runs)
    state.param["view"].objects = [page.key for page in PAGES]
    state.view = view
    return state


def as_html(model: Any) -> list[str]:
    """The properties of a Bokeh model that a browser gets as HTML."""
    kind = type(model).__name__
    if kind == "HTML" and hasattr(model, "text"):
        return [unescape(model.text)]  # Panel escapes it for the way
    if kind == "Div":
        return [model.text]
    if kind == "TableColumn":
        return [str(model.title), model.field if not re.fullmatch(r"[\w ]*", model.field) else ""]
    if kind == "HoverTool":
        return [str(model.tooltips)]
    return []


@pytest.mark.parametrize("view", [page.key for page in PAGES])
def test_no_page_takes_text_from_data_as_markup(hostile: Path, view: str) -> None:
    state = opened(hostile, view)
    assert evil("site") in str(state.cohort["site"].iloc[0]) and len(state.cohort) == 4  # it has reached the page
    state.message = evil("a message")
    if view == "group":  # it has reached this page, too
        assert evil("group") in state.group_a and evil("weights") in state.group_weights
    root = pn.Column(layout(state), SummaryView(state)).get_root()
    shown = [html for model in root.references() for html in as_html(model)]
    assert len(shown) > 3
    assert not [found for html in shown for found in markup_in(html)]
    assert not list(markup_in(empty_html(state)))


def test_a_saved_page_keeps_it_as_text(hostile: Path) -> None:
    text = saved_page(opened(hostile, "cohort")).getvalue().decode()
    outside_scripts = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not list(markup_in(outside_scripts))
    # inside of a script nothing may end it
    assert "onerror=pwned" not in outside_scripts


def test_the_search_finds_what_it_is_for() -> None:
    assert list(markup_in(f"<p>{evil('here')}</p>")) and not list(markup_in("<p>&lt;img src=x&gt;</p>"))
