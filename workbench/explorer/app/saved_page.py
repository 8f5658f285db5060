"""The page as it stands, as one HTML file that opens without a server and without a network."""

from __future__ import annotations

import datetime
import io
import re
from html import escape
from typing import Any
from urllib.parse import parse_qsl

import panel as pn
from bokeh.document import Document
from bokeh.resources import INLINE
from panel.io.state import set_curdoc

import workbench
from workbench.explorer.app.pages import PAGES
from workbench.explorer.parts import style
from workbench.explorer.parts.cards import card
from workbench.explorer.parts.summary_view import summary_html
from workbench.explorer.parts.text import Text, text
from workbench.explorer.scan.details_view import DetailsView
from workbench.explorer.scan.scan_view import ScanView
from workbench.explorer.session import address
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored.places import without_places
from workbench.plots.offline import with_styles


def saved_page(state: ExplorerState) -> io.BytesIO:
    """The open page of a session with its scan and overlays, scripts inside.

    The viewer works (crosshair, window, saving a picture), and the plots can be zoomed; what needs the server, such as
    choosing another scan, is left out or does nothing. A session of its own is drawn from the address that the state
    has, so that nothing of the living page is touched.
    """
    query, lost = address.write(state)
    # a document of its own: Panel keeps style sheets by document, and those of a file lie at other addresses
    with set_curdoc(Document()):
        return io.BytesIO(_written(state, query, lost).encode())


def _written(state: ExplorerState, query: str, lost: str) -> str:
    twin = ExplorerState(state.runs_folder)
    twin.param["view"].objects = [page.key for page in PAGES]
    problems = address.read(twin, dict(parse_qsl(query.lstrip("?"), keep_blank_values=True)))
    page = next(page for page in PAGES if page.key == twin.view)
    parts: list[Any] = [_heading(twin, query, [*filter(None, [lost]), *problems])]
    row = []
    if page.make is not None:
        row.append(pn.Column(page.make(twin), margin=0, styles={"flex": "9 1 0", "min-width": "0"}, height=HEIGHT))
    if page.make is None or page.beside_scan:
        row.append(
            pn.Column(
                card("Scan", ScanView(twin).viewers, "1 1 0", note=lambda: escape(twin.case)),
                card("About this scan", DetailsView(twin), "0 0 196px"),
                margin=0,
                height=HEIGHT,
                styles={"gap": "8px", "flex": "14 1 0", "min-width": "0"},
            )
        )
    parts.append(pn.Row(*row, sizing_mode="stretch_width", margin=0, styles={"gap": "8px"}))
    out = io.StringIO()
    pn.Column(*parts, sizing_mode="stretch_width", stylesheets=[style.LIGHT.replace(":root", ":host")]).save(
        out, title="VolTA workbench, saved page", resources=INLINE
    )
    return re.sub(r'<link rel="(?:icon|apple-touch-icon)"[^>]*>', "", with_styles(out.getvalue()))  # of Panel's address


HEIGHT = 800  # pixels of a saved page's parts


def _heading(state: ExplorerState, query: str, problems: list[str]) -> Text:
    """What this is, from when, of which runs: a file that travels alone has to say it."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    folder = escape(without_places(str(state.runs_folder), None))
    said = "".join(f"<p class='hint'>{escape(problem)}</p>" for problem in problems)
    return text(
        f"<h2>VolTA workbench {escape(workbench.__version__)}: a page of the explorer, saved {now}</h2>"
        f"<div class='hint'>{summary_html(state)}</div>"
        f"<p class='hint'>Runs in <code>{folder}</code>, state <code>{escape(query)}</code>. "
        "The viewer and the plots work; choosing other scans or runs needs the explorer itself. Research software, not "
        f"for diagnosis.</p>{said}",
        css=".summary { color: var(--ink) }",
        sizing_mode="stretch_width",
    )
