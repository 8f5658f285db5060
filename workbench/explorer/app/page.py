"""The page, and the server that shows it."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import panel as pn
from panel.io import resources
from panel.io.resources import LOCAL_DIST

from workbench.explorer.app.aside import Aside, ready_for
from workbench.explorer.app.guard import guard
from workbench.explorer.app.page_script import PageScript
from workbench.explorer.app.pages import PAGES
from workbench.explorer.app.saved_page import saved_page
from workbench.explorer.app.tour import Tour
from workbench.explorer.parts import style
from workbench.explorer.parts.cards import card
from workbench.explorer.parts.state_view import SIMULATED
from workbench.explorer.parts.summary_view import SummaryView
from workbench.explorer.parts.text import text
from workbench.explorer.scan.scan_view import ScanView
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored.catalog import Catalog
from workbench.explorer.stored.places import without_places

log = logging.getLogger(__name__)

TITLE = "VolTA workbench · explorer"

# the page is loaded again in the other theme; the rest of the address brings the state back
TURN_THEME = """
const query = new URLSearchParams(location.search)
query.set("theme", query.get("theme") === "dark" ? "default" : "dark")
location.search = query.toString()
"""


def build(runs_folder: str | Path | None, told: Callable[[], str] | None = None) -> Any:
    """The explorer of the runs below a folder, as a page for one session.

    A folder that is missing or holds no runs gives a page that says what to do, never an error. An error of our own
    gives a page that says so; Panel's page for it would load scripts from the network.

    Args:
        runs_folder: Where the runs are.
        told: Says what is being computed for this page, which then takes up new runs by itself; empty at the end.
    """
    pn.extension("tabulator")
    if pn.state.curdoc is not None:
        # Panel takes style sheets from the network until the page's HTML is made; a browser that comes back after its
        # session has ended gets a new session without one
        pn.state.curdoc.template_variables.setdefault("dist_url", LOCAL_DIST)
        # and MathJax, 1.8 MB of script, to every page that has a text; no text here has a formula in it
        resources._panel_use_mathjax = lambda roots: False
    try:
        return _page(runs_folder, told)
    except Exception as error:
        log.exception("the explorer could not be opened")
        page, said = _template(dark=False), escape(without_places(repr(error), None))
        page.main.append(
            text(
                f"<div class='empty'><h2>The explorer could not be opened</h2><p>This is a fault of the "
                f"explorer, not of your data. What it says:</p><pre>{said}</pre><p>The "
                "terminal in which it was started shows where.</p></div>",
                sizing_mode="stretch_width",
            )
        )
        return page


def _page(runs_folder: str | Path | None, told: Callable[[], str] | None) -> Any:
    ready = ready_for(runs_folder)
    state = ready.state
    dark = ready.theme == "dark"
    page = _template(dark)
    again = _header_button("Look for runs again")
    again.on_click(lambda *_: state.refresh())
    shade = _header_button("Light" if dark else "Dark")
    shade.js_on_click(code=TURN_THEME)
    body = layout(state)
    page.header.append(
        pn.Row(
            _tabs(state),
            SummaryView(state),
            pn.Spacer(sizing_mode="stretch_width"),
            again,
            shade,
            PageScript(state),
            sizing_mode="stretch_width",
            margin=0,
        )
    )
    page.main.append(body)
    state.message = "\n".join([*filter(None, [state.message]), *ready.problems])
    if told is not None:
        page.header.append(_follow(state, told))
    return page


FOLLOW_MS = 3000


def _follow(state: ExplorerState, told: Callable[[], str]) -> Any:
    """What is being computed, and new runs as they end; what is chosen stays chosen."""
    said = text(escape(told()), css="div { color: #fff }", margin=(6, 12))

    def look_again() -> None:
        said.object = escape(told())
        if state.runs_folder is not None and set(Catalog.scan(state.runs_folder).finished) != set(
            state.catalog.finished
        ):
            state.refresh()

    if pn.state.curdoc is not None and pn.state.curdoc.session_context is not None:
        pn.state.add_periodic_callback(look_again, FOLLOW_MS)
    return said


def _template(dark: bool) -> Any:
    return pn.template.BootstrapTemplate(
        title=TITLE,
        header_background="#1f2d3d",
        header_color="#ffffff",
        theme="dark" if dark else "default",
        raw_css=[style.DARK if dark else style.LIGHT, style.PAGE],
    )


def layout(state: ExplorerState) -> pn.Column:
    """The open page on the left, the scan (viewer, facts) on the right; ``pages.PAGES`` says which pages there are."""
    note: dict[str, Any] = {"on": [state.param.case, state.param.cohort]}
    left = pn.Column(
        margin=0,
        sizing_mode="stretch_both",
        # on a low screen the cards keep a height at which they can be read, and the column scrolls
        styles={"flex": "9 1 0", "min-width": "0", "min-height": "0", "overflow": "hidden auto"},
    )
    right = pn.Column(
        card("Scan", ScanView(state), "1 1 0", note=lambda: _case_name(state), beside=_stepper(state), **note),
        margin=0,
        sizing_mode="stretch_both",
        styles={"gap": "8px", "flex": "14 1 0", "min-width": "0", "min-height": "0"},
    )
    made: dict[str, Any] = {}

    def turn(*_: Any) -> None:
        page = next(page for page in PAGES if page.key == state.view)
        if page.make is not None and page.key not in made:
            made[page.key] = pn.panel(page.make(state))
            left.append(made[page.key])
        for key, content in made.items():
            content.visible = key == page.key
        left.visible = page.make is not None
        right.visible = page.make is None or page.beside_scan

    turn()
    state.param.watch(turn, "view")
    footer = text(
        '<div class="footer">Research software. <b>Not for diagnosis.</b> Coordinates are world '
        "millimetres (RAS+) of the scan itself.&emsp;Keys: <kbd>n</kbd> <kbd>p</kbd> next and previous scan, "
        "<kbd>o</kbd> overlays, <kbd>?</kbd> all keys</div>",
        margin=0,
        sizing_mode="stretch_width",
    )
    save = pn.widgets.FileDownload(
        callback=lambda: saved_page(state),
        filename="explorer.html",
        label="Save page",
        button_style="outline",
        height=30,
        width=110,
        margin=(-8, 0, 0, 0),
    )
    return pn.Column(
        _message(state),
        pn.Row(left, right, sizing_mode="stretch_both", margin=0, styles={"gap": "8px"}),
        pn.Row(footer, Tour(state), save, sizing_mode="stretch_width", margin=0),
        margin=0,
        sizing_mode="stretch_both",
        styles={"gap": "6px", "height": "calc(100vh - 64px)", "min-height": "560px"},
    )


def _header_button(name: str) -> Any:
    return pn.widgets.Button(name=name, button_style="outline", button_type="light", margin=(2, 6))


def _tabs(state: ExplorerState) -> Any:
    tabs: Any = pn.widgets.RadioButtonGroup(
        options={page.title: page.key for page in PAGES},
        value=state.view,
        button_style="outline",
        button_type="light",
        margin=(2, 10),
    )
    tabs.link(state, value="view", bidirectional=True)
    return tabs


def serve(
    runs_folder: str | Path | None,
    port: int = 5006,
    address: str = "127.0.0.1",
    open: bool = False,
    *,
    allow_origin: Sequence[str] = (),
    told: Callable[[], str] | None = None,
) -> None:
    """Serve the explorer until interrupted.

    Args:
        runs_folder: Where the runs are.
        port: Wanted port; another free one is taken, and printed, when it is in use.
        address: To listen on. Anything else than the default lets others on the network in: there is no login.
        open: Open the page in the browser.
        allow_origin: ``host:port`` of further pages whose scripts may connect, for a reverse proxy.
        told: As in :func:`build`.
    """
    port = free_port(address, port)
    url = f"http://{'localhost' if address in ('127.0.0.1', '0.0.0.0') else address}:{port}/explorer"
    origins = [f"localhost:{port}", f"127.0.0.1:{port}", f"{address}:{port}", *allow_origin]
    server: Any = pn.serve(
        {"explorer": lambda: build(runs_folder, told)},
        port=port,
        address=address,
        show=open,
        title=TITLE,
        verbose=False,
        websocket_origin=origins,
        start=False,
    )
    guard(server._tornado, origins)
    for context in server._tornado._applications.values():
        context.application.add(Aside(runs_folder))
    server.start()
    # not before: who reads it may go there at once
    print(f"explorer of {runs_folder or 'no runs folder'}: {url}   (Ctrl-C ends it)", flush=True)
    server.io_loop.start()


def free_port(address: str, wanted: int) -> int:
    """``wanted`` if it can be listened on, else one that the system gives."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return wanted  # let the server say what is wrong with the address


def _stepper(state: ExplorerState) -> pn.Row:
    buttons = [pn.widgets.Button(name=name, width=86, height=28, margin=(0, 4)) for name in ("‹ Previous", "Next ›")]
    buttons[0].on_click(lambda _: state.step(-1))
    buttons[1].on_click(lambda _: state.step(1))

    def stands(*_: Any) -> str:
        at, of = state.standing()
        return f"<span style='white-space:nowrap'>{at or '–'} of {of}</span>" if of else ""

    p = state.param
    where = text(pn.bind(stands, p.case, p.cohort, p.selection, p.place), margin=(5, 6))
    return pn.Row(where, *buttons, margin=0)


def _message(state: ExplorerState) -> pn.Row:
    def shown(message: str) -> Any:
        told = without_places(message, state.runs_folder)
        return f'<div class="message">{escape(told)}</div>' if message else ""

    def dismiss(*_: Any) -> None:
        state.message = ""

    said = text(pn.bind(shown, state.param.message), sizing_mode="stretch_width", margin=0)
    close = pn.widgets.Button(name="Dismiss", button_style="outline", width=90)
    close.on_click(dismiss)
    return pn.Row(said, close, visible=pn.bind(bool, state.param.message), sizing_mode="stretch_width", margin=0)


def _case_name(state: ExplorerState) -> str:
    return escape(state.case) + ("&ensp;" + SIMULATED if state.case and state.simulated else "")
